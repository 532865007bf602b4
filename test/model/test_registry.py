"""The registry lists, verifies and promotes bundles; it never rewrites or worsens one by chance."""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('rich', reason='the training extras are not installed')

from kws_imu_ros.commands.lab import models as cli_models
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.model import registry
from kws_imu_ros.model.bundle import Bundle, Metric, load_bundle, write_bundle

COMMAND = 'kws-imu evaluate --speech data/speech_commands'


@pytest.fixture
def models(bundle_directory: Path, tmp_path: Path) -> Path:
    """Return a folder of models with the shipped network as 1.0.0 of 'probe', 95 % accurate."""
    add(tmp_path / 'models', bundle_directory, '1.0.0', 95.0)
    return tmp_path / 'models'


def add(
    models: Path, source: Path, version: str, accuracy: float, false_accepts: float = 1.0
) -> Path:
    """Write the shipped network as a version of 'probe' with these metrics."""
    bundle = load_bundle(source)
    metrics = {
        'voice_accuracy': Metric(accuracy, COMMAND, '%'),
        'false_accepts_per_hour': Metric(false_accepts, COMMAND, '1/h'),
    }
    manifest = replace(bundle.manifest, name='probe', version=version, metrics=metrics)
    return write_bundle(models, Bundle(None, manifest, bundle.model_bytes), '# Probe\n').path


def command(models: Path, *arguments: str) -> int:
    """Run `kws-imu models` with arguments."""
    parser = argparse.ArgumentParser()
    cli_models.add_arguments(parser)
    return cli_models.run(parser.parse_args(['--models', str(models), *arguments]))


def test_list_shows_versions_newest_first_and_damage(models, bundle_directory, capsys):
    add(models, bundle_directory, '1.10.0', 96.0)
    add(models, bundle_directory, '1.9.0', 95.5)
    entries = registry.list_models(models)
    assert [entry.version for entry in entries] == ['1.10.0', '1.9.0', '1.0.0']
    assert [entry.newest for entry in entries] == [True, False, False]
    assert command(models, 'list') == 0
    printed = capsys.readouterr().out
    assert 'newest' in printed and 'voice_accuracy 96 %' in printed
    model = models / 'probe' / '1.9.0' / 'model.tflite'
    model.write_bytes(model.read_bytes()[:-1] + b'!')
    shutil.copytree(models / 'probe' / '1.0.0', models / 'probe' / '2.0.0')
    assert command(models, 'list') == 1
    printed = capsys.readouterr().out
    assert 'damaged' in printed and 'model.sha256' in printed
    assert 'must lie under its own name and version' in printed


def test_verify_runs_every_bundle_and_fails_on_a_changed_byte(models, capsys):
    assert command(models, 'verify') == 0
    assert 'sound' in capsys.readouterr().out
    assert command(models, 'verify', 'probe/1.0.0') == 0
    model = models / 'probe' / '1.0.0' / 'model.tflite'
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    assert command(models, 'verify') == 1
    assert 'FAILED' in capsys.readouterr().out


def test_a_better_candidate_becomes_the_newest_and_stays_as_it_was(
    models, bundle_directory, tmp_path
):
    candidate = add(tmp_path / 'run', bundle_directory, '1.1.0', 96.0)
    bundle = registry.promote(candidate, models)
    assert bundle.path == models / 'probe' / '1.1.0'
    assert registry.find_version('probe', models) == bundle.path
    for name in ('model.tflite', 'manifest.json', 'MODEL_CARD.md'):
        assert (bundle.path / name).read_bytes() == (candidate / name).read_bytes()


def test_versions_only_go_up_and_an_older_one_comes_back_under_a_new_number(
    models, bundle_directory, capsys
):
    add(models, bundle_directory, '1.1.0', 95.2)
    old = models / 'probe' / '1.0.0'
    before = (old / 'manifest.json').read_bytes()
    with pytest.raises(KwsImuError, match=r'promote it with --version 1\.2\.0'):
        registry.promote(old, models)
    assert command(models, 'promote', 'probe/1.0.0', '--version', '1.1.1') == 0
    assert 'probe 1.1.1 is the newest now' in capsys.readouterr().out
    back = load_bundle(models / 'probe' / '1.1.1')
    assert back.model_bytes == load_bundle(old).model_bytes
    assert 'Promoted from version 1.0.0' in (back.path / 'MODEL_CARD.md').read_text()
    assert (old / 'manifest.json').read_bytes() == before


@pytest.mark.parametrize(
    ('accuracy', 'false_accepts', 'named'),
    [(94.0, 1.0, 'voice_accuracy 95 -> 94 %'), (95.0, 3.0, 'false_accepts_per_hour 1 -> 3 1/h')],
)
def test_a_worse_candidate_needs_a_word(
    models, bundle_directory, tmp_path, accuracy, false_accepts, named
):
    candidate = add(tmp_path / 'run', bundle_directory, '1.1.0', accuracy, false_accepts)
    with pytest.raises(KwsImuError, match=named):
        registry.promote(candidate, models)
    assert not (models / 'probe' / '1.1.0').exists()
    registry.promote(candidate, models, allow_worse=True)
    assert (models / 'probe' / '1.1.0').is_dir()


def test_within_half_a_point_is_not_worse(models, bundle_directory, tmp_path):
    registry.promote(add(tmp_path / 'run', bundle_directory, '1.1.0', 94.6), models)
    assert (models / 'probe' / '1.1.0').is_dir()


def test_a_damaged_candidate_is_not_promoted(models, bundle_directory, tmp_path):
    candidate = add(tmp_path / 'run', bundle_directory, '1.1.0', 96.0)
    (candidate / 'MODEL_CARD.md').write_text(' \n')
    with pytest.raises(KwsImuError, match=r'Not promoted: .*MODEL_CARD'):
        registry.promote(candidate, models)
    with pytest.raises(KwsImuError, match='is no version'):
        registry.promote(models / 'probe' / '1.0.0', models, 'latest')


def test_show_prints_card_metrics_and_manifest(models, capsys):
    assert command(models, 'show', 'probe') == 0
    printed = capsys.readouterr().out
    assert '# Probe' in printed and COMMAND in printed and 'input log_mel: int8' in printed
    assert command(models, 'show', 'probe/1.0.0', '--json') == 0
    assert capsys.readouterr().out == (models / 'probe' / '1.0.0' / 'manifest.json').read_text()


def test_missing_folders_and_names_end_in_one_sentence(models, tmp_path, capsys):
    with pytest.raises(KwsImuError, match='--models'):
        command(tmp_path / 'nowhere', 'list')
    with pytest.raises(KwsImuError):
        command(models, 'show', 'unheard_of')
    (tmp_path / 'empty').mkdir()
    assert command(tmp_path / 'empty', 'list') == 0
    assert 'holds no models yet' in capsys.readouterr().out
    assert registry.next_version(['1.2.3', '0.9.0'], 'patch') == '1.2.4'
    assert registry.next_version([], 'major') == '1.0.0'
