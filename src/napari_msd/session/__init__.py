"""One live session: its state, its commands, and how it handles the trainer's events."""
