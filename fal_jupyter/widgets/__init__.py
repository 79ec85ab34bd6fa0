"""Panels as widgets of anywidget, for front ends without our JupyterLab extension. Nothing here is imported before it is shown."""
