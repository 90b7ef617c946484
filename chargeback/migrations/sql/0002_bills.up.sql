-- What providers charge, file by file as it came, and what people said about the differences. A file is never changed:
-- a newer one restates its days, and both stay.

CREATE TABLE provider_bill (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    filename text NOT NULL,
    format text NOT NULL,
    sha256 text NOT NULL,
    size_bytes bigint NOT NULL,
    is_part boolean NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    charges integer NOT NULL,
    providers text[] NOT NULL,
    totals jsonb NOT NULL,
    notes jsonb NOT NULL,
    restated jsonb NOT NULL,
    imported_by text NOT NULL,
    imported_at timestamptz NOT NULL,
    withdrawn_by text NOT NULL DEFAULT '',
    withdrawn_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT provider_bill_has_a_hash CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT provider_bill_days_in_order CHECK (first_day <= last_day),
    CONSTRAINT provider_bill_says_by_whom CHECK (imported_by <> '' AND (withdrawn_at IS NULL) = (withdrawn_by = ''))
);
-- The same file twice is told, unless it was withdrawn in between.
CREATE UNIQUE INDEX provider_bill_once ON provider_bill (tenant_id, sha256) WHERE withdrawn_at IS NULL;

CREATE TABLE bill_charge (
    tenant_id bigint NOT NULL,
    bill_id bigint NOT NULL,
    line integer NOT NULL,
    day date NOT NULL,
    filed_day date NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    model text NOT NULL,
    description text NOT NULL,
    amount numeric(60,40) NOT NULL,
    currency text NOT NULL,
    category text NOT NULL,
    line_id text NOT NULL,
    PRIMARY KEY (tenant_id, bill_id, line),
    CONSTRAINT bill_charge_of_bill FOREIGN KEY (tenant_id, bill_id) REFERENCES provider_bill (tenant_id, id),
    CONSTRAINT bill_charge_category_is_known CHECK (
        category IN ('usage', 'tax', 'credit', 'discount', 'fee', 'adjustment', 'other_service'))
);
CREATE INDEX bill_charge_by_day ON bill_charge (tenant_id, day);

-- The days of which a file says everything: of each the newest file counts that is no part, and the parts since.
CREATE TABLE bill_day (
    tenant_id bigint NOT NULL,
    provider text NOT NULL,
    account text NOT NULL,
    day date NOT NULL,
    bill_id bigint NOT NULL,
    PRIMARY KEY (tenant_id, provider, account, day, bill_id),
    CONSTRAINT bill_day_of_bill FOREIGN KEY (tenant_id, bill_id) REFERENCES provider_bill (tenant_id, id)
);

-- Of the same columns the newest mapping counts.
CREATE TABLE bill_mapping (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    columns_hash text NOT NULL,
    columns jsonb NOT NULL,
    mapping jsonb NOT NULL,
    kept_by text NOT NULL,
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX bill_mapping_by_columns ON bill_mapping (tenant_id, columns_hash, id);

-- Of a tenant the newest counts.
CREATE TABLE bill_tolerance (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    absolute numeric(24,12) NOT NULL,
    percent numeric(7,4) NOT NULL,
    kept_by text NOT NULL,
    kept_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT bill_tolerance_not_negative CHECK (absolute >= 0 AND percent BETWEEN 0 AND 100)
);

-- How much of a row's variance a person explains: amounts of the same row add up, and one taken back is its negative.
CREATE TABLE variance_decision (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    decision bigint NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    day date NOT NULL,
    reason text NOT NULL,
    amount numeric(60,40) NOT NULL,
    comment text NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT variance_reason_is_known CHECK (
        reason IN ('timing', 'rounding', 'discount', 'tax', 'not_in_ledger', 'not_on_bill', 'rate', 'exchange',
                   'other_service', 'other'))
);
CREATE INDEX variance_decision_by_day ON variance_decision (tenant_id, day);

-- What both sides were when a person signed a month; of a month the newest counts.
CREATE TABLE bill_sign_off (
    tenant_id bigint NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    period date NOT NULL,
    bill numeric(60,40) NOT NULL,
    ledger numeric(60,40) NOT NULL,
    unexplained numeric(60,40) NOT NULL,
    open_groups integer NOT NULL,
    comment text NOT NULL,
    signed_by text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT bill_sign_off_is_of_a_month CHECK (extract(day FROM period) = 1),
    CONSTRAINT bill_sign_off_says_why CHECK (comment <> '' AND signed_by <> '')
);
CREATE INDEX bill_sign_off_by_period ON bill_sign_off (tenant_id, period, id);

SELECT protect_tenant_table(t) FROM unnest(ARRAY[
    'provider_bill', 'bill_charge', 'bill_day', 'bill_mapping', 'bill_tolerance', 'variance_decision',
    'bill_sign_off']::regclass[]) AS t;

GRANT SELECT, INSERT ON provider_bill, bill_charge, bill_day, bill_mapping, bill_tolerance, variance_decision,
    bill_sign_off TO tokenledger_app;
GRANT UPDATE (withdrawn_by, withdrawn_at) ON provider_bill TO tokenledger_app;
