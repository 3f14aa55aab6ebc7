"""The journal of rollouts: JSON in an annotation of the Lease, written before each act.

It is on the Lease because `kubectl rollout undo` puts back the Deployment's annotations.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_ai.errors import InputError
from emotion_ai.rollouts.cluster.api import Object
from emotion_ai.rollouts.cluster.names import JOURNAL_ANNOTATION

Phase = Literal["done", "canary", "baking", "promoting", "verifying", "back"]

_MAX_OUTCOMES = 50


class Outcome(BaseModel):
    """How a run's rollout of a release ended.

    Attributes:
        digest: The content digest of the release.
        run: The run that began the rollout, not one that recovered it.
        release: The release's number.
        reason: Why it failed; "" if it was rolled out.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    run: str
    release: int
    reason: str = ""


class Journal(BaseModel):
    """What the next rollout must know, should this one be killed.

    Attributes:
        phase: The act under way, or "done".
        release: The release that is rolled out.
        digest: Its content digest.
        run: The run that began the rollout.
        previous: The release before it; None for none.
        proven: The last release that every endpoint was verified to answer as; None for none.
        proven_digest: Its content digest.
        job: The canary's Job.
        since: When the phase began, UTC.
        outcomes: The newest outcomes.
    """

    # Later code may add keys.
    model_config = ConfigDict(frozen=True, extra="ignore")

    phase: Phase = "done"
    release: int | None = None
    digest: str = ""
    run: str = ""
    previous: int | None = None
    proven: int | None = None
    proven_digest: str = ""
    job: str = ""
    since: str = ""
    outcomes: tuple[Outcome, ...] = ()

    def with_outcome(self, reason: str) -> "Journal":
        """Return the journal with an outcome of its release and run; "" is success."""
        release = self.release or 0
        outcome = Outcome(digest=self.digest, run=self.run, release=release, reason=reason[:500])
        others = [o for o in self.outcomes if (o.digest, o.run) != (self.digest, self.run)]
        return self.model_copy(update={"outcomes": (*others, outcome)[-_MAX_OUTCOMES:]})

    def outcome(self, digest: str, run: str) -> Outcome | None:
        """Return how a run's rollout of a release ended; None if it has not."""
        found = [o for o in self.outcomes if (o.digest, o.run) == (digest, run)]
        return found[0] if found else None

    def failure(self, release: int) -> str:
        """Return why a release was judged bad last; "" if it was not."""
        reasons = [o.reason for o in self.outcomes if o.release == release]
        return reasons[-1] if reasons else ""

    def was_proven(self, digest: str) -> bool:
        """Whether a release was rolled out here before."""
        return any(o.digest == digest and not o.reason for o in self.outcomes)


def read_journal(lease: Object) -> Journal:
    """Read the journal of a Lease; a Lease without one is that of a new installation.

    Raises:
        InputError: The annotation was damaged.
    """
    text = (lease["metadata"].get("annotations") or {}).get(JOURNAL_ANNOTATION)
    if not text:
        return Journal()
    try:
        return Journal.model_validate_json(text)
    except ValidationError as error:
        name = lease["metadata"]["name"]
        first = error.errors()[0]
        raise InputError(
            f"lease {name}: its annotation {JOURNAL_ANNOTATION} is damaged "
            f"({'.'.join(map(str, first['loc']))}: {first['msg']}); remove the annotation to begin "
            "anew"
        ) from None


def journal_annotation(journal: Journal) -> dict[str, Any]:
    """Return the annotation that holds a journal."""
    text = json.dumps(journal.model_dump(mode="json"), separators=(",", ":"))
    return {JOURNAL_ANNOTATION: text}
