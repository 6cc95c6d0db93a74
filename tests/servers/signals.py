"""What a program that a test starts takes for granted: that a signal that is sent to it has its effect.

A shell starts what runs in its background with an ignored SIGINT, and some service managers leave signals
blocked. Children inherit that, even through ``exec``.
"""

import signal
import threading

SENT = {signal.SIGINT, signal.SIGTERM}
"""What tests send. Not SIGHUP: who starts them with ``nohup`` wants them to outlive the terminal."""


def stop_ignoring_signals() -> None:
    """Let the signals in ``SENT`` have their effect, here and in all that is started from here on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SENT)
    if threading.current_thread() is not threading.main_thread():
        return  # this process was started by one that has done it
    for number in SENT:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
