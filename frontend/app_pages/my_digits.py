"""My digits: what people drew and labelled, how well versions read it, and one button to teach it to them."""

from __future__ import annotations

import streamlit as st
from digits.client.choices import SampleUse
from digits.client.errors import ClientError, ServerUnavailable
from digits.client.records import SampleFilter

from frontend import connection, style, wording
from frontend.my_digits import accuracy, archive, teach
from frontend.my_digits.browser import browse

LOOK = """<style>
.sample-accuracy { display: grid; gap: .9rem; color: var(--ink); font-variant-numeric: tabular-nums; }
.sample-accuracy .version { display: grid; grid-template-columns: 1fr auto; column-gap: 1rem; }
.sample-accuracy .version > .interval, .sample-accuracy .version > .small-print { grid-column: 1 / -1; }
.sample-accuracy .version span { color: var(--ink-soft); font-size: .9rem; }
.sample-accuracy .value { font-weight: 600; }
.sample-accuracy .interval { position: relative; height: .9rem; margin: .1rem 0; }
.sample-accuracy .interval::before { content: ""; position: absolute; inset: .42rem 0 auto; height: 1px;
  background: var(--rule); }
.sample-accuracy .interval i { position: absolute; top: .25rem; height: .4rem; border-radius: .2rem;
  background: var(--accent); opacity: .35; }
.sample-accuracy .interval b { position: absolute; top: .1rem; width: 2px; height: .7rem; margin-left: -1px;
  background: var(--accent); }
@media (max-width: 640px) { [data-testid="stColumn"]:has(.st-key-teach-live-active) { order: -1; } }
</style>"""


def page() -> None:
    """The whole page, from the top. Raises ClientError."""
    client = connection.client()
    total = client.list_samples(page_size=1).total_size
    if not total:
        nothing_yet()
        return
    headline(total)
    models = client.list_models(page_size=100).models
    left, right = st.columns([1.35, 1], gap="large")
    with left:
        browse()
    with right:
        teach.panel(models)
        accuracy.show(models)


def nothing_yet() -> None:
    """What to do while there is no sample."""
    style.empty(
        "No digits yet.",
        "Draw one, and say under the answer what it is: it is kept here, and a version can learn from it.",
    )
    st.page_link("app_pages/draw.py", label="Draw a digit", icon=":material/arrow_forward:")
    archive.say_added()
    with st.expander("Or add those of an archive"):
        archive.upload()


def headline(total: int) -> None:
    """How many there are, and how many of them were misread when they were kept."""
    client = connection.client()
    misread = client.list_samples(SampleFilter(is_misread=True), page_size=1).total_size
    aside = client.list_samples(SampleFilter(use=SampleUse.HELD_OUT), page_size=1).total_size
    parts = [f"{wording.count(total, 'digit')}, labelled by you", f"{misread:,} misread when you drew them"]
    parts += [f"{aside:,} set aside to measure with"] if aside else []
    style.lead(" · ".join(parts))


if st.session_state["has_arrived"]:
    archive.forget_result()
st.html(LOOK)
st.title("My digits")
try:
    page()
except ServerUnavailable as error:
    connection.note(error)
    style.empty("Waiting for the server.", "Your digits are kept there, and this page goes on by itself.")
except ClientError as error:
    style.wrong(wording.sentence(error.message))
