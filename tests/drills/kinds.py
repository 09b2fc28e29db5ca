"""What a drill is, and all of them by name."""
import truths
from rig import BTC, ETH

DRILLS = {}


class Drill:
    """One fault behind one alert. A subclass registers itself under `name`."""
    name = alert = line = ""
    keep = (BTC, ETH)   # must be wanted at the end
    flow = ("binance",)  # venues of which trades must come then
    same_log = True     # the data directory must be the same log's
    patience = 120      # seconds until the alert must have fired

    def __init_subclass__(cls):
        if cls.name:
            DRILLS[cls.name] = cls()

    def stage(self, rig):
        """The beginning and the fault."""
        raise NotImplementedError

    def holds(self, rig):
        """Does the alert's expression hold, with a shorter time? A number is its value."""
        raise NotImplementedError

    def labels(self, rig):
        return {}

    def story(self, rig):
        """What the page says besides: what somebody on call would know."""
        return ""

    def scene(self, rig):
        """What goes on beside the trainee, in a process of its own."""

    def over(self, rig):
        """What of the drill's own is still wrong."""
        return ["the alert's condition still holds"] if self.holds(rig) else []

    def verdict(self, rig):
        bad = truths.all_of(rig, self.keep, self.flow, self.same_log)
        return bad + (self.over(rig) if not bad else [])


import kinds_down  # noqa: E402,F401
import kinds_feed  # noqa: E402,F401
import kinds_disk  # noqa: E402,F401
import kinds_store  # noqa: E402,F401
import kinds_serve  # noqa: E402,F401
import kinds_data  # noqa: E402,F401
import kinds_table  # noqa: E402,F401
