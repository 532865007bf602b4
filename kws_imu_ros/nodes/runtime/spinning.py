"""How a process of this package runs its nodes, and how it ends: with every node destroyed."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import rclpy
from rclpy.exceptions import NameValidationException
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import try_shutdown  # Humble's rclpy itself has no such name.

from kws_imu_ros.errors import KwsImuError, as_user_error
from kws_imu_ros.nodes.runtime.child_process import end_with_parent
from kws_imu_ros.nodes.runtime.coalescing_executor import CoalescingExecutor
from kws_imu_ros.nodes.runtime.environment import plain_words, prepare_environment
from kws_imu_ros.nodes.runtime.parameters import NODES, check_settings

EXIT_OK = 0
EXIT_FAILURE = 1
EXIT_USER_ERROR = 2

# How long, in s, a process may take for its last words before a further signal ends it.
PATIENCE_S = 2.0

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def run_nodes(
    create: Callable[[list[Node]], None],
    arguments: Sequence[str] | None = None,
    finished: Callable[[], bool] = lambda: False,
    names: Iterable[str] = NODES,
    namespace: str = '',
) -> int:
    """
    Create nodes, spin them in one thread, destroy them, and return the exit status.

    Every way out destroys the nodes while the context still works, so that a node can publish its
    last words (the command node's zero velocity): Ctrl-C, SIGTERM, SIGHUP, an exception in any
    callback or constructor. rclpy's own signal handlers are not installed because they shut the
    context down first, after which nothing can be published.

    A KwsImuError is printed as its one sentence (exit status 2), any other exception as one
    sentence with its type (1).

    Args:
        create: appends the nodes to the list given to it, one by one, so that those that exist
            are destroyed when a later one fails. Nodes are destroyed last to first.
        arguments: command line, None for the process's own.
        finished: asked after each callback; True ends the process with status 0.
        names: the nodes whose parameters the command line is for, by default all of a robot.
        namespace: that the nodes are given where the command line says no other.

    """
    # What warnings there are, a parent with the same arguments has told.
    is_child = end_with_parent()
    nodes: list[Node] = []
    executor: CoalescingExecutor | None = None
    status, sentence = EXIT_OK, ''
    with _signals_as_flag() as interrupted:
        try:
            check_settings(arguments, names, namespace, tell=not is_child)
            _initialize(arguments)
            create(nodes)
            executor = CoalescingExecutor()
            for node in nodes:
                executor.add_node(node)
            # Without a timeout: each node has a timer that wakes this loop at least once a second.
            while rclpy.ok() and not interrupted.is_set() and not finished():
                executor.spin_once()
        except (KeyboardInterrupt, ExternalShutdownException):
            pass
        except NameValidationException as error:
            problem = str(error).splitlines()[0].rstrip(':')
            status, sentence = (
                EXIT_USER_ERROR,
                f'{problem}; correct the parameter or the remapping.',
            )
        # Whatever it is, the robot stops and the person at the terminal gets a sentence.
        except Exception as error:  # noqa: BLE001
            mistake = as_user_error(error)
            if mistake is not None:
                status, sentence = EXIT_USER_ERROR, str(mistake)
            else:
                status = EXIT_FAILURE
                what = ' '.join(f'{type(error).__name__}: {error}'.split())
                sentence = f'{_where(error)} failed ({what}); everything is stopped.'
        finally:
            _destroy(nodes)
            if executor is not None:
                executor.shutdown(timeout_sec=0.0)
            try_shutdown()
    # Last: a terminal that takes no more output must not delay the zero velocity.
    if sentence:
        print(sentence, file=sys.stderr, flush=True)
    return status


def _initialize(arguments: Sequence[str] | None) -> None:
    """
    Start rclpy.

    Raises:
        KwsImuError: an argument after --ros-args, or a parameters file, does not fit.

    """
    prepare_environment()
    with ros_arguments_checked():
        rclpy.init(
            args=None if arguments is None else list(arguments),
            signal_handler_options=SignalHandlerOptions.NO,
        )


@contextlib.contextmanager
def ros_arguments_checked() -> Iterator[None]:
    """
    Turn what ROS dislikes of a command line or of the environment into one sentence.

    Raises:
        KwsImuError: it does not fit.

    """
    try:
        yield
    except rclpy_implementation.UnknownROSArgsError as error:
        raise KwsImuError(f'ROS does not know {error} after --ros-args; correct it.') from error
    except rclpy_implementation.RCLError as error:
        advice = 'look for the cause with `kws-imu doctor`'
        # Nobody is told to correct what the package itself wrote.
        if '--ros-args' in sys.argv:
            advice = 'correct what follows --ros-args'
        raise KwsImuError(f'ROS did not start: {plain_words(str(error))}; {advice}.') from error


def _destroy(nodes: list[Node]) -> None:
    while nodes:
        node = nodes.pop()
        try:
            node.destroy_node()
        # One node that cannot be destroyed must not keep the next from publishing its zero.
        except Exception as error:  # noqa: BLE001
            print(f'{node.get_name()} did not end cleanly: {error}', file=sys.stderr, flush=True)


def _where(error: BaseException) -> str:
    """Return the file and line where an exception was raised, for a bug report."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return 'The process'
    return f'{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}'


@contextlib.contextmanager
def _signals_as_flag() -> Iterator[threading.Event]:
    """
    Turn the signals that end a process into an event.

    Ctrl-C under `ros2 launch` arrives twice, from the terminal and from launch: the second must not
    cut off the last words. Only one that comes later, when those seem stuck, ends the process.
    A hangup that was ignored when the process began stays ignored.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    first: list[float] = []

    def note(number: int, _frame: object) -> None:
        event.set()
        first.append(time.monotonic())
        if first[-1] - first[0] > PATIENCE_S:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    # What nohup has made deaf to the end of its terminal stays so.
    deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in _SIGNALS if not (deaf and number == signal.SIGHUP)]
    previous = {number: signal.signal(number, note) for number in numbers}
    try:
        yield event
    finally:
        # After one signal, its double may still be on the way to a process that is ending well.
        if not event.is_set():
            for number, handler in previous.items():
                signal.signal(number, handler)
