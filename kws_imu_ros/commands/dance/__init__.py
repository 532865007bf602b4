"""`kws-imu dance ACTION ...`: set a choreography by voice, edit it, and let the robot dance it."""

from __future__ import annotations

import argparse
import importlib

# What each action does; its module of the same name is imported only when the verb is called.
ACTIONS = {
    'compose': 'make a dance of the commands in a bag or sound file',
    'show': 'show the moves of a dance, and whether the robot can dance it',
    'edit': 'insert, delete, move, repeat, mirror, stretch, join; undo',
    'play': 'dance it with a robot that is only computed',
    'perform': 'dance it with the robot, in the live graph',
    'demo': 'a recorded voice sets a dance, the robot dances it, a coach watches a wrist',
    'music': 'find the beats of a sound file',
    'record': "keep how the teacher's wrist moves, cut at the beats",
    'score': 'say what a pupil changes: one thing, and a card of all',
    'evaluate': 'put faults into dances of real motion and count what the coach finds',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest='action', required=True, metavar='ACTION')
    for name, summary in ACTIONS.items():
        action = actions.add_parser(
            name, help=summary, description=f'{summary[0].upper()}{summary[1:]}.'
        )
        module = importlib.import_module(f'{__name__}.{name}')
        module.add_arguments(action)
        action.set_defaults(action_run=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the action; return its exit status."""
    status: int = args.action_run(args)
    return status
