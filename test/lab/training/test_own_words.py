"""Vocabularies in other languages, from a recipe to a robot that drives; tones stand for words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip('tensorflow', reason='the training extras are not installed')

from kws_imu_ros.audio.block import AudioBlock
from kws_imu_ros.bags.reading import typestore
from kws_imu_ros.bags.writing import BagWriter
from kws_imu_ros.commands.main import main
from kws_imu_ros.messages.audio import audio_block_to_message
from kws_imu_ros.messages.factory import BagMessages
from kws_imu_ros.model.bundle import load_bundle
from kws_imu_ros.resources import share_path

RATE = 16000
# The architecture that is converted fastest: conversion takes longer here than training.
RECIPE = """
name: {name}
version: 1.0.0
seed: 1
voice:
  architecture: conv1d_mfcc
  config: {{width: 0.5, norm: batch}}
  schedule: {{steps: 80, batch: 16, learning_rate: 0.015}}
gesture:
  architecture: imu_conv1d
  config: {{width: 0.25, norm: batch}}
  schedule: {{steps: 2, batch: 8}}
fusion: {{width: 8, voice_dropout: 0.1, gesture_dropout: 0.1, schedule: {{steps: 2, batch: 8}}}}
quantize: {{calibration_pairs: 16}}
voice_labels: [{words}, unknown, silence]
"""
# Hz; no child's shift of pitch makes one of another.
PITCHES = (500.0, 1400.0, 3600.0)


def tone(pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Return a second with half a second of a tone in it, int16 (16000,)."""
    time = np.arange(RATE // 2) / RATE
    sound = np.sin(2.0 * np.pi * pitch * rng.uniform(0.97, 1.03) * time) * np.hanning(len(time))
    clip = rng.normal(0.0, 20.0, RATE)
    start = rng.integers(RATE // 8, 3 * RATE // 8)
    clip[start : start + len(time)] += 8000.0 * sound
    return clip.astype(np.int16)


def speech_folder(folder: Path, words: tuple[str, ...]) -> Path:
    """Write three words, one that is no command, and the sound of a room."""
    rng = np.random.default_rng(0)
    for word, pitch in zip(words, PITCHES, strict=True):
        (folder / word).mkdir(parents=True)
        # By the official rule kind07 and kind36 are judged on, the others trained on.
        for child in ('kind00', 'kind02', 'kind03', 'kind04', 'kind05', 'kind07', 'kind36'):
            path = folder / word / f'{child}_nohash_0.wav'
            soundfile.write(path, tone(pitch, rng), RATE)
    (folder / 'other').mkdir()
    for child in ('kind00', 'kind02', 'kind03', 'kind07'):
        noise = rng.normal(0.0, 2000.0, RATE) * np.hanning(RATE)
        path = folder / 'other' / f'{child}_nohash_0.wav'
        soundfile.write(path, noise.astype(np.int16), RATE)
    (folder / '_background_noise_').mkdir()
    room = rng.normal(0.0, 60.0, 10 * RATE).astype(np.int16)
    soundfile.write(folder / '_background_noise_' / 'room.wav', room, RATE)
    return folder


def recording(folder: Path, pitches: tuple[float, ...]) -> Path:
    """Write a bag in which tones are said one after the other, five seconds apart."""
    rng = np.random.default_rng(9)
    parts = [rng.normal(0.0, 20.0, 2 * RATE).astype(np.int16)]
    for pitch in pitches:
        parts += [tone(pitch, rng), rng.normal(0.0, 20.0, 2 * RATE).astype(np.int16)]
    samples = np.concatenate(parts)
    messages = BagMessages(typestore())
    with BagWriter(folder / 'bag') as writer:
        for index in range(len(samples) // 320):
            stamp_ns = 1_000_000_000 + index * 20_000_000
            block = AudioBlock(stamp_ns, index, RATE, samples[320 * index : 320 * (index + 1)])
            writer.write_message('audio', stamp_ns, audio_block_to_message(block, messages))
    return folder / 'bag'


def motion_table(folder: Path, profiles: dict[str, str]) -> Path:
    """Return the shipped motion table that knows more intents."""
    lines = ''.join(f'  {intent}: {profile}\n' for intent, profile in profiles.items())
    text = share_path('config', 'motion.yaml').read_text('utf-8')
    path = folder / 'motion.yaml'
    path.write_text(text.replace('intents:\n', f'intents:\n{lines}', 1), 'utf-8')
    return path


def drive(folder: Path, model: Path, policy: Path, motion: Path, capsys) -> list[dict]:
    """Return what happens when the first and the last word are said to the robot."""
    bag = recording(folder, (PITCHES[0], PITCHES[2]))
    arguments = ['replay', bag, '--offline', '--json', '--model', model, '--policy', policy]
    capsys.readouterr()
    assert main([str(argument) for argument in (*arguments, '--motion', motion)]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def intents_of(events: list[dict]) -> list[str]:
    return [
        event['intent']
        for event in events
        if event['event'] == 'decision' and event['outcome'] == 'accept'
    ]


def train(tmp_path: Path, test_data: Path, words: tuple[str, ...], more: str, *options) -> Path:
    speech = speech_folder(tmp_path / 'speech', words)
    recipe = tmp_path / 'recipe.yaml'
    recipe.write_text(RECIPE.format(name='own', words=', '.join(words)) + more, 'utf-8')
    arguments = ['train', '--recipe', recipe, '--speech', speech, *options]
    arguments += ['--gestures', test_data / 'gestures' / 'grwd']
    arguments += ['--work', tmp_path / 'work', '--output', tmp_path / 'models']
    assert main([str(argument) for argument in arguments]) == 0
    return tmp_path / 'models' / 'own' / '1.0.0'


def test_a_german_robot_drives_and_stops(tmp_path: Path, test_data: Path, capsys):
    """The recipe alone says which word stops; the policy for it is made."""
    words = ('vor', 'zurück', 'halt')
    model = train(tmp_path, test_data, words, 'stop_word: halt\n')
    told = capsys.readouterr().out
    policy = model.with_name('policy-1.0.0.yaml')
    assert f'--model {model} --policy {policy}' in told
    labels = load_bundle(model).manifest.labels
    assert labels['voice'] == (*words, 'unknown', 'silence')
    # Swipes mean what they always meant, and the word that stops means what stops.
    assert labels['intent'] == ('vor', 'zurück', 'stop', 'left', 'right', 'up', 'none')
    motion = motion_table(tmp_path, {'vor': 'forward', 'zurück': 'backward'})
    events = drive(tmp_path, model, policy, motion, capsys)
    assert intents_of(events) == ['vor', 'stop']
    assert events[-1]['distance_m'] > 0.2


def test_a_chinese_robot_drives_and_stops(tmp_path: Path, test_data: Path, capsys):
    """A policy of one's own says which word stops and what hands mean."""
    words = ('前', '左', '停')
    text = share_path('config', 'policy.yaml').read_text('utf-8')
    for old, new in (
        ('  intent: stop\n  words: [stop]', '  intent: 停\n  words: [停]'),
        ('directions: [left, right, up, down]', 'directions: [前, 左]'),
        ('swipe_left: left', 'swipe_left: 左'),
        ('swipe_right: right', 'swipe_right: 右'),
        ('swipe_up: up', 'swipe_up: 前'),
        ('swipe_down: down', 'swipe_down: 后'),
    ):
        assert old in text
        text = text.replace(old, new)
    policy = tmp_path / 'policy.yaml'
    policy.write_text(text, 'utf-8')
    model = train(tmp_path, test_data, words, '', '--policy', policy)
    assert set(load_bundle(model).manifest.labels['intent']) == {*words, '右', '后', 'none'}
    profiles = {'前': 'forward', '左': 'left', '停': 'stop', '右': 'right', '后': 'backward'}
    motion = motion_table(tmp_path, profiles)
    assert intents_of(drive(tmp_path, model, policy, motion, capsys)) == ['前', '停']
