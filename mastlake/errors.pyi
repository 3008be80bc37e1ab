from catalog.errors import *
