"""Names in exported C are identifiers, each another, in any language; labels are UTF-8."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kws_imu_ros.lab.export import c_export
from kws_imu_ros.model.bundle import Bundle, load_bundle

VOCABULARIES = {
    'german': ('vor', 'zurück', 'stopp', 'links', 'Straße', 'drehen', 'früh', 'süß'),
    'chinese': ('前进', '后退', '停止', '左', '右', '上', '下', '转圈'),
    'greek and russian': ('στοπ', 'стоп', 'A', '\u0410', '\u0391', 'a', 'вперёд', 'назад'),
    'of like names': ('label_0', 'Go', 'go', 'GO', 'a_b', 'ab', 'label_7', 'int'),
}


@pytest.fixture(scope='module')
def shipped(bundle_directory: Path) -> Bundle:
    return load_bundle(bundle_directory)


def taught(bundle: Bundle, words: tuple[str, ...]) -> Bundle:
    """Return the bundle as if its voice head had these words, each with a threshold."""
    labels = {**bundle.manifest.labels, 'voice': (*words, 'unknown', 'silence')}
    assert len(labels['voice']) == len(bundle.manifest.labels['voice'])
    thresholds = {'voice': {word: 0.5 + index / 64 for index, word in enumerate(words)}}
    manifest = dataclasses.replace(bundle.manifest, labels=labels, thresholds=thresholds)
    return dataclasses.replace(bundle, manifest=manifest)


def macros_of(header: str) -> list[str]:
    return re.findall(r'^#define (\S+)', header, re.MULTILINE)


@pytest.mark.parametrize('words', VOCABULARIES.values(), ids=VOCABULARIES)
def test_a_c_program_reads_labels_and_thresholds_of_any_language(
    words: tuple[str, ...], shipped: Bundle, tmp_path: Path
):
    compiler = shutil.which('cc') or shutil.which('gcc') or shutil.which('clang')
    if compiler is None:
        pytest.skip('no C compiler is installed')
    bundle = taught(shipped, words)
    export = c_export.export_c(bundle.model_bytes, 'own', bundle)
    c_export.write_c(export, tmp_path)
    macros = [
        macro for macro in macros_of(export.files['own_model.h']) if '_THRESHOLD_VOICE_' in macro
    ]
    assert len(set(macros)) == len(words)
    printed = '\n'.join(f'  printf("%.9g\\n", (double){macro});' for macro in macros)
    (tmp_path / 'main.c').write_text(
        '#include <stdio.h>\n#include "own_model.h"\nint main(void) {\n'
        '  for (unsigned i = 0; i < OWN_VOICE_COUNT; ++i) puts(own_voice_labels[i]);\n'
        f'{printed}\n  return 0;\n}}\n'
    )
    command = [compiler, '-std=c99', '-Wall', '-Wextra', '-Wpedantic', '-Werror']
    # A compiler for an old board takes a file for another encoding.
    command += ['-finput-charset=latin1'] if 'gcc' in Path(compiler).resolve().name else []
    command += ['main.c', 'own_model.c', '-o', 'program']
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    told = subprocess.run([tmp_path / 'program'], capture_output=True, check=True).stdout
    lines = told.decode('utf-8').splitlines()
    assert tuple(lines[:10]) == (*words, 'unknown', 'silence')
    assert [float(line) for line in lines[10:]] == [0.5 + index / 64 for index in range(8)]


def test_a_label_in_letters_of_c_keeps_them(shipped: Bundle):
    bundle = taught(shipped, VOCABULARIES['german'])
    header = c_export.export_c(bundle.model_bytes, 'own', bundle).files['own_model.h']
    assert 'OWN_THRESHOLD_VOICE_VOR 0.5f\n' in header
    assert 'OWN_THRESHOLD_VOICE_LABEL_1 0.515625f /* zurück */\n' in header


@given(st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=8))
def test_macros_are_identifiers_and_all_different(names: list[str]):
    macros = c_export._macros(names, 'TENSOR')
    assert list(macros) == names
    assert len(set(macros.values())) == len(names)
    assert all(re.fullmatch('[A-Z0-9_]+', macro) for macro in macros.values())


@given(st.text(st.characters(exclude_categories=['Cs'])))
def test_literals_hold_the_text_and_nothing_that_ends_them(text: str):
    literal = c_export._string_literal(text)
    assert re.fullmatch(r'"([ !#-\[\]-~]|\\[0-7]{3})*"', literal) and '??' not in literal
    codes = re.findall(r'\\([0-7]{3})|(.)', literal[1:-1])
    assert bytes(int(octal, 8) if octal else ord(c) for octal, c in codes).decode() == text


@given(st.text() | st.text('*/\n ?'))
def test_no_comment_is_ended_by_what_stands_in_it(text: str):
    inside = c_export._comment(text)
    assert not {'*/', '/*', '\n'} & {inside[i : i + n] for n in (1, 2) for i in range(len(inside))}
