"""What the messages in all exports are meant to say: who, where, when, what about, in which mood."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dagster_project.demo.files import pick
from dagster_project.demo.speech import MOODS, THEME_NAMES
from dagster_project.demo.support import plan_tickets
from dagster_project.demo.talks import plan_calls, plan_chats
from dagster_project.demo.voices import plan_reviews, plan_surveys
from dagster_project.demo.world import World

PLANS = {
    "zendesk": plan_tickets,
    "calls": plan_calls,
    "chat": plan_chats,
    "nps": plan_surveys,
    "reviews": plan_reviews,
}


def planted_messages(world: World) -> pa.Table:
    """Give the theme and the mood that every message was written with.

    Returns
    -------
    pyarrow.Table
        One row per first message of a ticket, transcript of a call, conversation, comment to a survey, and review or
        mention: ``person`` (place in the block), ``source``, ``at`` (when the ticket was opened, the call or the
        conversation began, the survey was answered, the review was posted), ``theme`` and ``mood``.
    """
    plans = [plan(world) for plan in PLANS.values()]
    person, at, theme, mood = (np.concatenate(columns) for columns in zip(*plans, strict=True))
    source = np.repeat(np.arange(len(plans)), [len(plan.person) for plan in plans])
    return pa.table(
        {
            "person": pa.array(person, pa.int64()),
            "source": pick(list(PLANS), source),
            "at": pa.array(at, pa.timestamp("ms", tz="UTC")),
            "theme": pick(THEME_NAMES, theme),
            "mood": pick(MOODS, mood),
        }
    )
