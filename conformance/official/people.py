"""Who plays which part in the timelines of several users: the admins of `projects/two-orgs.yml`, by what they may do."""

OWNER = "admin@nvidia.com"
ORG_ADMIN = "org_admin@nvidia.com"
LEAD = "lead@nvidia.com"
MEMBER = "member@nvidia.com"
OTHER_ORG_ADMIN = "org_admin@acme.org"
OTHER_LEAD = "lead@acme.org"
OTHER_MEMBER = "member@acme.org"

EVERYBODY = (OWNER, ORG_ADMIN, LEAD, MEMBER, OTHER_ORG_ADMIN, OTHER_LEAD, OTHER_MEMBER)
THE_OTHERS = EVERYBODY[1:]

SITES = ("site-1", "site-2", "site-3")
SITES_BY_ORGANIZATION = {"nvidia": SITES[:2], "acme": SITES[2:]}
