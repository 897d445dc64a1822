"""The process boundary between the viewer and the trainer: messages, and the two ends.

`client` is the viewer's end, `server` the trainer's; only `server` knows torch.
"""
