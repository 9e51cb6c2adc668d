-- The instance's own log is that of the organization with the nil id. Only the host writes and reads it: nothing of a tenant's
-- can be of it.
alter table api_keys add constraint api_keys_of_tenants check (organization_id <> '00000000-0000-0000-0000-000000000000');
alter table namespaces add constraint namespaces_of_tenants check (organization_id <> '00000000-0000-0000-0000-000000000000');
alter table keys add constraint keys_of_tenants check (organization_id <> '00000000-0000-0000-0000-000000000000');
