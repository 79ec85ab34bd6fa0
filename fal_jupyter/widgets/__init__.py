"""Panels as widgets of anywidget, for front ends without our JupyterLab extension. Imported only when a widget is shown."""
