"""Which kinds of image are tuned on, and which only report: fixed before any was tried.

A *family* is a kind of image with a few pictures and their truth. The families stand in
alphabetical order and alternate, beginning with tuning, so that nothing but the alphabet
chose. Families of the reporting half are never looked at while a recipe is chosen, or
what is reported of them says nothing about images that nobody has seen.

The list is written out, not worked out from a folder: a family that comes later must not
move another to the other half.
"""

from __future__ import annotations

from typing import Final, Literal

Half = Literal["tuning", "reporting"]

HALVES: Final[dict[str, Half]] = {
    "axon_myelin_sem": "tuning",
    "chloroplast_em": "reporting",
    "coffee_leaf": "tuning",
    "concrete_ct": "reporting",
    "cornea_endothelium": "tuning",
    "foetal_ultrasound": "reporting",
    "glass_fibre_ct": "tuning",
    "grains_polarised": "reporting",
    "he_tissue": "tuning",
    "hela_dic": "reporting",
    "live_neurons": "tuning",
    "nanoparticles_em": "reporting",
    "neurites_fluo": "tuning",
    "ovule_membranes": "reporting",
    "phase_contrast_cells": "tuning",
    "red_cells_brightfield": "reporting",
    "retina_vessels": "tuning",
    "soil_roots": "reporting",
    "superalloy_sem": "tuning",
}
"""Half of each family, by the name of its folder."""
