"""Nothing that a run has shown is lost because something else on the page is run at that very moment.

A session runs its script on a thread, which hands whatever it shows to the session's event loop. Once a
thread has nothing left to run it takes no more requests: Streamlit starts another one for the next request,
and from then on ignores what the first one has handed over and the loop has not come to yet. A whole answer,
or a click on Clear, then stays unseen until that part of the page is run again. With parts that run by
themselves every two seconds, such as the banner, this happens to a stroke now and then on a busy machine.

So a request that meets a thread that has ended waits for the last event of it, which is on its way: with it
the session lets go of the thread. This is about Streamlit 1.67, `AppSession.request_rerun`.
"""

from __future__ import annotations

from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.scriptrunner import RerunData

LOOK_AGAIN_S = 0.002

_start = AppSession._create_scriptrunner


def keep() -> None:
    """Have all sessions of this process wait for the end of a run. To say it again changes nothing."""
    AppSession._create_scriptrunner = _start_after_the_last_event  # type: ignore[method-assign, assignment]


def _start_after_the_last_event(session: AppSession, request: RerunData) -> None:
    """Start a thread for a request, or, when another is running by now, give it to that one."""
    if session._state is AppSessionState.SHUTDOWN_REQUESTED:
        return
    thread = session._scriptrunner
    if thread is None:
        _start(session, request)
    elif not thread.request_rerun(request):
        session._event_loop.call_later(LOOK_AGAIN_S, _start_after_the_last_event, session, request)
