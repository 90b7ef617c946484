-- What a tenant means to spend at most, and what the last evaluation saw of each window.

CREATE TABLE budget (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    name text NOT NULL,
    scope jsonb NOT NULL,
    time_window text NOT NULL,
    amount numeric(24,6) NOT NULL,
    currency text NOT NULL,
    actions jsonb NOT NULL,
    per_request jsonb NOT NULL,
    parent_id bigint,
    rollover boolean NOT NULL,
    owner text NOT NULL,
    channel_ids bigint[] NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT budget_parent FOREIGN KEY (tenant_id, parent_id) REFERENCES budget (tenant_id, id),
    CONSTRAINT budget_is_not_its_parent CHECK (parent_id <> id),
    CONSTRAINT budget_window_is_known CHECK (time_window IN ('hour', 'day', 'week', 'month', 'quarter', 'year')),
    CONSTRAINT budget_amount_is_positive CHECK (amount > 0),
    CONSTRAINT budget_has_a_name CHECK (length(name) BETWEEN 1 AND 120),
    CONSTRAINT budget_is_json CHECK (
        jsonb_typeof(scope) = 'object' AND jsonb_typeof(actions) = 'array' AND jsonb_typeof(per_request) = 'object')
);
-- A name is free again once its budget is retired; so the same POST twice makes one budget.
CREATE UNIQUE INDEX budget_name_once ON budget (tenant_id, name) WHERE retired_at IS NULL;

CREATE TABLE budget_window (
    tenant_id bigint NOT NULL,
    budget_id bigint NOT NULL,
    window_start timestamptz NOT NULL,
    window_end timestamptz NOT NULL,
    limit_amount numeric(24,6) NOT NULL,
    spent numeric(30,12) NOT NULL,
    forecast numeric(30,12),
    evaluated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, budget_id, window_start),
    CONSTRAINT budget_window_of_budget FOREIGN KEY (tenant_id, budget_id) REFERENCES budget (tenant_id, id),
    CONSTRAINT budget_window_is_half_open CHECK (window_start < window_end)
) WITH (fillfactor = 70);
-- The job looks at those that go on, or ended lately, whoever's they are.
CREATE INDEX budget_window_by_end ON budget_window (window_end);

SELECT protect_tenant_table(t) FROM unnest(ARRAY['budget', 'budget_window']::regclass[]) AS t;

-- A budget is retired and never deleted: its windows and alerts go on telling what it was.
GRANT SELECT, INSERT ON budget TO tokenledger_app;
GRANT UPDATE (name, scope, time_window, amount, currency, actions, per_request, parent_id, rollover, owner, channel_ids,
              changed_at, retired_at) ON budget TO tokenledger_app;
GRANT SELECT, INSERT, UPDATE ON budget_window TO tokenledger_app;
GRANT SELECT ON budget, budget_window TO tokenledger_reader;
