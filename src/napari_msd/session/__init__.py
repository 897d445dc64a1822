"""One live session: its state, its commands, and what the trainer tells it."""
