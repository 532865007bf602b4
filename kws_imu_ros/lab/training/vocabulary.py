"""
What words and gestures mean together, and whether a recipe's vocabulary can be trained.

The network learns a fused intent, so it is taught by the policy that the robot will have: which
words are directions, what each gesture means, and what stops.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from kws_imu_ros.configuration.section import read_text, read_yaml
from kws_imu_ros.decision.table import PolicyTable, parse_table
from kws_imu_ros.errors import KwsImuError
from kws_imu_ros.lab.training.recipe import Recipe
from kws_imu_ros.model.bundle import is_bundle_name, is_label

# Classes that training makes itself, by the names that it gives them.
UNKNOWN, SILENCE = 'unknown', 'silence'
NO_GESTURE = NO_INTENT = 'none'


@dataclass(frozen=True)
class Meanings:
    """
    What was meant, by the word that was heard and the gesture that was seen.

    directions: words that a gesture corrects. gestures: gesture to intent. stop_words,
    stop_gestures: what stops, the gestures where no word was said. stop_intent: what that is.
    """

    directions: tuple[str, ...] = ('left', 'right', 'up', 'down')
    gestures: Mapping[str, str] = field(
        default_factory=lambda: {
            'swipe_left': 'left',
            'swipe_right': 'right',
            'swipe_up': 'up',
            'swipe_down': 'down',
        }
    )
    stop_words: tuple[str, ...] = ('stop',)
    stop_gestures: tuple[str, ...] = ('swipe_down',)
    stop_intent: str = 'stop'

    def intent(self, word: str, gesture: str) -> str:
        """
        Return what a word and a gesture mean together: the rule that the fusion head learns.

        A gesture corrects a voiced direction; other words stand as they are; a gesture alone has
        its meaning, or stops, as a lowered hand does to people. A gesture of which the policy says
        nothing yet means its own name.
        """
        if word in self.stop_words:
            return self.stop_intent
        if word in (UNKNOWN, SILENCE):
            if gesture in self.stop_gestures:
                return self.stop_intent
            return self.gestures.get(gesture, gesture)
        if word in self.directions and gesture != NO_GESTURE:
            return self.gestures.get(gesture, gesture)
        return word

    def intents(self, words: Sequence[str], gestures: Sequence[str]) -> tuple[str, ...]:
        """Return every intent that these labels can mean, 'none' last."""
        alone = [self.intent(word, NO_GESTURE) for word in words]
        alone += [self.intent(SILENCE, gesture) for gesture in gestures]
        both = [self.intent(word, gesture) for word in words for gesture in gestures]
        found = dict.fromkeys([*alone, *both])
        found.pop(NO_INTENT, None)
        return (*found, NO_INTENT)


def meanings_of(table: PolicyTable) -> Meanings:
    """Return what words and gestures mean by a policy."""
    return Meanings(
        directions=table.directions,
        gestures=dict(table.meanings),
        stop_words=table.stop_words,
        stop_gestures=table.stop_gestures,
        stop_intent=table.stop_intent,
    )


def policy_for(recipe: Recipe, text: str) -> str:
    """
    Return the text of a policy for a recipe that says itself which word stops.

    What the policy says of words and gestures that the recipe does not have is left out. The intent
    to stop keeps its name, which the motion table knows.
    """
    if recipe.stop_word is None:
        return text
    top = read_yaml(text, 'The policy')
    policy = {name: top.plain(name) for name in top.names()}
    words, gestures = {*recipe.voice_labels, 'default'}, {*recipe.gesture_labels, 'default'}
    gesture, stop = policy['gesture'], policy['stop']
    stop['words'] = [recipe.stop_word]
    stop['gestures'] = [name for name in stop['gestures'] if name in gestures]
    policy['directions'] = [name for name in policy['directions'] if name in words]
    gesture['alone'] = [name for name in gesture['alone'] if name in gestures]
    for section, name, known in (
        (policy['voice'], 'thresholds', words),
        (gesture, 'thresholds', gestures),
        (gesture, 'alone_thresholds', gestures),
        (gesture, 'meanings', gestures),
    ):
        section[name] = {key: value for key, value in section[name].items() if key in known}
    return (
        f'# Made by `kws-imu train` for {recipe.name}, which stops at "{recipe.stop_word}". The\n'
        '# comments are in config/policy.yaml.\n'
        + yaml.safe_dump(policy, allow_unicode=True, sort_keys=False, width=100)
    )


def check_vocabulary(recipe: Recipe, policy_file: Path) -> tuple[Recipe, str]:
    """
    Return a recipe with its intents and the text of the policy for it, after comparing both.

    policy_file: the policy that the robot will have.

    Raises:
        KwsImuError: a label cannot be one, what must be there is missing, or the policy knows
            other words than the recipe.

    """
    if not is_bundle_name(recipe.name):
        raise KwsImuError(
            f"The recipe's name is {recipe.name!r}; a model's name is of small letters, digits and "
            '_ and begins with a letter.'
        )
    recipe = _composed(recipe)
    _check_labels('voice_labels', recipe.voice_labels, (UNKNOWN, SILENCE))
    _check_labels('gesture_labels', recipe.gesture_labels, (NO_GESTURE,))
    if NO_INTENT in recipe.voice_labels:
        raise KwsImuError(
            f"The recipe's voice_labels hold '{NO_INTENT}', which is the intent for nothing; "
            'choose another word.'
        )
    words = [word for word in recipe.voice_labels if word not in (UNKNOWN, SILENCE)]
    if recipe.stop_word is not None and recipe.stop_word not in words:
        raise KwsImuError(
            f"The recipe's stop_word is '{recipe.stop_word}', which is none of its words: "
            f'{", ".join(words)}.'
        )
    path, text = read_text(policy_file, 'policy file')
    source = f'The policy file {path}'
    policy = policy_for(recipe, text)
    table = parse_table(policy, source)
    _check_policy(recipe, table, source)
    intents = meanings_of(table).intents(recipe.voice_labels, recipe.gesture_labels)
    if not recipe.intent_labels:
        recipe = dataclasses.replace(recipe, intent_labels=intents)
    _check_labels('intent_labels', recipe.intent_labels, intents)
    return recipe, policy


def _composed(recipe: Recipe) -> Recipe:
    """Return a recipe whose labels are composed Unicode, as files and policies are read."""

    def composed(text: str) -> str:
        return unicodedata.normalize('NFC', text) if isinstance(text, str) else text

    return dataclasses.replace(
        recipe,
        voice_labels=tuple(map(composed, recipe.voice_labels)),
        gesture_labels=tuple(map(composed, recipe.gesture_labels)),
        intent_labels=tuple(map(composed, recipe.intent_labels)),
        stop_word=None if recipe.stop_word is None else composed(recipe.stop_word),
    )


def _check_labels(name: str, labels: Sequence[str], needed: Sequence[str]) -> None:
    """Refuse labels that a bundle would refuse, and such as lack what training needs."""
    wrong = [label for label in labels if not is_label(label)]
    if wrong:
        raise KwsImuError(
            f"The recipe's {name} hold {wrong[0]!r}, which cannot be a label: a label is of "
            'letters, digits and _, and begins with a letter.'
        )
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise KwsImuError(f"The recipe's {name} name {', '.join(twice)} twice; name it once.")
    missing = [label for label in needed if label not in labels]
    if missing:
        raise KwsImuError(
            f"The recipe's {name} ({', '.join(labels) or 'none'}) lack {', '.join(missing)}; add "
            f'{"it" if len(missing) == 1 else "them"}.'
        )
    if len(labels) <= 1 or set(labels) <= {UNKNOWN, SILENCE}:
        raise KwsImuError(f"The recipe's {name} hold no word or gesture to learn; add some.")


def _check_policy(recipe: Recipe, table: PolicyTable, policy: str) -> None:
    """Refuse a vocabulary that the policy cannot be bound to."""
    stops = [word for word in table.stop_words if word in recipe.voice_labels]
    if not stops:
        raise KwsImuError(
            f"None of the recipe's words stops the robot: {policy} stops at "
            f'{", ".join(table.stop_words)}, and the voice_labels are '
            f'{", ".join(recipe.voice_labels)}. Say which one does with `stop_word: WORD` in the '
            'recipe, or give a policy of your own with --policy.'
        )
    made = (
        ('voice.background', table.voice_background, SILENCE),
        ('gesture.background', table.gesture_background, NO_GESTURE),
        ('intent.background', table.intent_background, NO_INTENT),
    )
    for where, found, wanted in made:
        if found != wanted:
            raise KwsImuError(
                f"{policy}: '{where}' is '{found}', but training makes this class under the name "
                f"'{wanted}'; write that."
            )
    if UNKNOWN not in table.voice_unknown:
        raise KwsImuError(
            f"{policy}: 'voice.unknown' lacks '{UNKNOWN}', the class of words that are no command; "
            'add it.'
        )
    labels = {
        'voice': recipe.voice_labels,
        'gesture': recipe.gesture_labels,
        'intent': recipe.intent_labels or (NO_INTENT,),
    }
    table.check_labels(labels, policy)
