"""What people say of objects and events: vetting, comments, tags and watchlists.

Each *act* is appended to the lake's table ``curation`` (`log`) and then written into the graph (`write`), where it is
an ``Annotation``. Table and graph are a function of the set of acts, whatever their order and repetition.
"""
