"""The API's objects and parameters, one file per resource: names, order, defaults and limits."""
