"""Who may ask for which path: one row for each route that the HTTP door serves (P23)."""

from imageedit_server.access.rules import Rule

RULES = {
    "/healthz": Rule.ANYONE,  # orchestrators and load balancers have no key
    "/readyz": Rule.ANYONE,
    "/metrics": Rule.ANYONE,  # counts of all tenants together: no name, id, prompt or picture
    "/callbacks/{provider}/{token}": Rule.TOKEN,
}
"""Rules by the template of the path."""
