"""`kws-imu export BUNDLE --c DIR`: C source for TensorFlow Lite Micro."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from kws_imu_ros.lab.export import c_export
from kws_imu_ros.model.bundle import (
    DEFAULT_NAME,
    find_bundle,
    is_model_file,
    load_bundle,
    read_model_file,
)
from kws_imu_ros.resources import user_path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the verb."""
    parser.add_argument(
        'model',
        nargs='?',
        default=DEFAULT_NAME,
        help="a bundle's folder or name, or any .tflite file (default: %(default)s)",
    )
    parser.add_argument(
        '--c', type=Path, required=True, metavar='DIR', help='folder for the C header and sources'
    )
    parser.add_argument('--name', help='prefix of files and identifiers (default: the model name)')


def run(args: argparse.Namespace) -> int:
    """Export and say what was written; return 0."""
    given = user_path(args.model)
    if is_model_file(given):
        bundle, name = None, re.sub(r'\W', '_', given.stem)
        model_bytes = read_model_file(given)
    else:
        bundle = load_bundle(find_bundle(args.model))
        name, model_bytes = bundle.manifest.name, bundle.model_bytes
    export = c_export.export_c(model_bytes, args.name or name, bundle)
    for path in c_export.write_c(export, args.c):
        print(f'{path}: {path.stat().st_size:,} bytes')
    print(f'Model: {len(model_bytes):,} bytes of flash.')
    print(f'Arena: about {export.arena_bytes:,} bytes of RAM (an estimate).')
    print(f'Operators: {", ".join(export.operators)}.')
    return 0
