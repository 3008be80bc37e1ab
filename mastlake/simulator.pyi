from catalog.simulator import *
