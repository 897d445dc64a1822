"""The dock widget "MS-D Segmentation": small widgets, one controller, no torch.

`dock` is the door that napari opens; `panel` composes the widgets a person sees;
`controller` connects them with the layers (`layers`, `strokes`, `overlay`, `view`) and
with the trainer behind the wall (`link`).
"""
