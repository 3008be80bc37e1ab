from catalog import *
from catalog import __version__ as __version__
