"""`kws-imu models list|show|promote|verify`: the registry of model bundles."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Column, Table

from kws_imu_ros.model import registry
from kws_imu_ros.model.bundle import CARD_FILE, load_bundle, manifest_to_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    parser.add_argument('--models', type=Path, metavar='DIR', help='folder of models')
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    actions.add_parser('list', help='every model and version')
    show = actions.add_parser('show', help='what a version is and how well it does')
    show.add_argument(
        'model', nargs='?', default='voice_gesture', help='NAME, NAME/VERSION, folder'
    )
    show.add_argument('--json', action='store_true', help='print the manifest')
    promote = actions.add_parser('promote', help='make a bundle the newest version of its name')
    promote.add_argument('bundle', help='folder of a bundle, or NAME/VERSION to go back to it')
    promote.add_argument('--version', help='the new version, three numbers')
    promote.add_argument(
        '--allow-worse', action='store_true', help='even if a metric is worse than before'
    )
    verify = actions.add_parser('verify', help='check bundles and run them')
    verify.add_argument('bundles', nargs='*', help='NAME, NAME/VERSION or folder (default: all)')


def run(args: argparse.Namespace) -> int:
    """Run the action; return 0, or 1 where a bundle is not sound."""
    models = registry.models_directory(args.models)
    actions = {'list': _list, 'show': _show, 'promote': _promote, 'verify': _verify}
    return actions[args.action](args, models)


def _list(args: argparse.Namespace, models: Path) -> int:
    """Print a table of versions; return 1 where one is damaged."""
    entries = registry.list_models(models)
    if not entries:
        print(f'{models} holds no models yet; train one with `kws-imu train`.')
        return 0
    table = Table(
        Column('model', no_wrap=True),
        Column('version', no_wrap=True),
        Column('bytes', justify='right'),
        Column('parameters', justify='right'),
        Column('MACs', justify='right'),
        'metrics',
        'state',
    )
    for entry in entries:
        if entry.bundle is None:
            table.add_row(entry.name, entry.version, '-', '-', '-', '-', 'damaged')
            continue
        manifest = entry.bundle.manifest
        sizes = (manifest.bytes, manifest.parameters, manifest.macs)
        metrics = ', '.join(
            f'{name} {metric.value:.4g}{metric.unit and " " + metric.unit}'
            for name, metric in manifest.metrics.items()
        )
        state = 'misplaced' if entry.problem else 'newest' if entry.newest else 'older'
        table.add_row(entry.name, entry.version, *(f'{n:,}' for n in sizes), metrics, state)
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    problems = [entry.problem for entry in entries if entry.problem]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _show(args: argparse.Namespace, models: Path) -> int:
    """Print a version's card and facts, or its manifest."""
    path = registry.find_version(args.model, models)
    bundle = load_bundle(path)
    manifest = bundle.manifest
    if args.json:
        print(manifest_to_json(manifest), end='')
        return 0
    print(f'{manifest.name} {manifest.version} in {path}')
    print(f'{manifest.bytes:,} bytes, {manifest.parameters:,} parameters, {manifest.macs:,} MACs')
    print(f'sha256 {manifest.sha256}')
    for side, specs in (('input', manifest.inputs), ('output', manifest.outputs)):
        for name, spec in specs.items():
            shape = ' x '.join(str(size) for size in spec.shape)
            print(
                f'{side} {name}: {spec.dtype} {shape}, scale {spec.scale:.6g}, '
                f'zero point {spec.zero_point}'
            )
    for head, labels in manifest.labels.items():
        print(f'{head}: {", ".join(labels)}')
    for name, source in manifest.data.items():
        print(f'data {name}: sha256 {source.sha256[:12]}, {source.split}, {source.counts}')
    for name, metric in manifest.metrics.items():
        print(f'{name}: {metric.value:.6g} {metric.unit}  ({metric.command})')
    if manifest.thresholds:
        print(f'thresholds: {json.dumps(manifest.thresholds)}')
    print(f'recipe: {manifest.recipe["command"]}')
    card = path / CARD_FILE
    if card.is_file():
        print(f'\n{card.read_text("utf-8").rstrip()}')
    return 0


def _promote(args: argparse.Namespace, models: Path) -> int:
    """Promote a bundle and say where it is now."""
    candidate = registry.find_version(args.bundle, models)
    bundle = registry.promote(candidate, models, args.version, args.allow_worse)
    manifest = bundle.manifest
    print(f'{manifest.name} {manifest.version} is the newest now: {bundle.path}')
    return 0


def _verify(args: argparse.Namespace, models: Path) -> int:
    """Verify bundles; return 1 where one fails."""
    if args.bundles:
        paths = [registry.find_version(name, models) for name in args.bundles]
    else:
        paths = [entry.path for entry in registry.list_models(models)]
    if not paths:
        print(f'{models} holds no models yet; train one with `kws-imu train`.')
    failed = 0
    for path in paths:
        verification = registry.verify(path)
        if verification.problem:
            failed += 1
            print(f'{path}: FAILED: {verification.problem}')
        else:
            print(f'{path}: sound ({"; ".join(verification.passed)})')
    return 1 if failed else 0
