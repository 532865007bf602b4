"""Figures that are drawn into files, whoever is logged in and whatever screen there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.resources import replacing

_DPI = 110


def new_figure(width: float, height: float) -> Any:
    """
    Return an empty matplotlib figure of a size in inches.

    Raises:
        KwsImuError: matplotlib is not installed.

    """
    try:
        # Here: it takes a second to import, and the run must not wait for it.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise KwsImuError(
            'A picture needs matplotlib; install it with `pip install matplotlib`.'
        ) from error
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Any, path: Path) -> None:
    """
    Write a figure as PNG, whole or not at all.

    Raises:
        KwsImuError: the file cannot be written.

    """
    try:
        with replacing(path) as partial:
            figure.savefig(partial, dpi=_DPI, format='png')
    except KwsImuError as error:
        raise KwsImuError(f'The picture cannot be written: {error}') from error
