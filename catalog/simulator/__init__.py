"""An offline MAST over HTTP, for the demo, for classes and for tests.

    with Simulator() as archive:
        ...  # point a client at archive.url

speaks to the real astroquery client, serves a made-up sky of JWST exposures in the real naming scheme, and
has the real archive's habits: rows in no fixed order, time-outs on many ids, files that are processed again under their
old names. The seed decides everything.
"""

from catalog.simulator.changes import Rates
from catalog.simulator.faults import FAULTS
from catalog.simulator.server import TOKEN
from catalog.simulator.simulator import Simulator, serve_forever

__all__ = ["FAULTS", "TOKEN", "Rates", "Simulator", "serve_forever"]
