"""napari finds the widget and its Preferences; opening it never imports torch."""

import subprocess
import sys

import pytest

from napari_msd.viewer.preferences import PLUGIN, Preferences, plugin_settings, read_preferences


@pytest.fixture
def installed():
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        distribution(PLUGIN)
    except PackageNotFoundError:
        pytest.skip("the plugin is not installed")


@pytest.fixture
def settings(installed, tmp_path, monkeypatch):
    from napari import settings as napari_settings

    monkeypatch.setattr(napari_settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    monkeypatch.setattr(napari_settings, "_PLUGIN_SETTINGS", {})
    return plugin_settings()


def test_preferences_are_the_manifests_with_the_same_defaults(settings):
    assert settings is not None
    assert read_preferences() == Preferences()


def test_changed_preferences_reach_an_open_window(settings, msd):
    settings.display.overlay_opacity = 0.25
    assert msd.controller.overlay.opacity == 0.25
    settings.training.preset = "paper"
    assert read_preferences().preset == "paper"


def test_the_widget_is_found_by_its_name(installed, viewer):
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "MS-D Segmentation")
    assert type(widget).__name__ == "MSDSegmentationWidget"
    _, again = viewer.window.add_plugin_dock_widget(PLUGIN, "MS-D Segmentation")
    assert again is widget
    widget.end()


def test_the_viewers_process_never_imports_torch():
    code = (
        "import sys, napari_msd.plugin.dock, napari_msd.plugin.results, napari_msd.trainer.client;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_fits_a_narrow_dock(msd):
    assert msd.widget.minimumSizeHint().width() <= 320
    inner = msd.panel.widget()
    assert inner.minimumSizeHint().width() <= 320 - msd.panel.verticalScrollBar().sizeHint().width()
