"""The dock widget: puts session, viewer and widgets together."""
