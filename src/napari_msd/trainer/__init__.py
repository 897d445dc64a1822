"""The process boundary: what a session asks of a trainer, and the two ends of it.

`protocol` is what callers use. `client` is the viewer's end, `process` and `server` the
trainer's; `messages` are what crosses, `channel` how. Only `server` and `in_process`, and what
these two import, know torch.
"""
