"""One package a broker, each behind `workbench.connecting.connector.Connector`; found through entry points."""
