-- The tables as the first release made them.
CREATE TABLE trainings (
    id VARCHAR(64) NOT NULL,
    request_id VARCHAR(128),
    recipe VARCHAR(64) NOT NULL,
    options JSON NOT NULL,
    state VARCHAR(16) NOT NULL,
    deploy_when_done BOOLEAN NOT NULL,
    created DATETIME NOT NULL,
    started DATETIME,
    ended DATETIME,
    progress JSON,
    history JSON NOT NULL,
    model_version INTEGER,
    failure_reason TEXT NOT NULL,
    data_source JSON,
    PRIMARY KEY (id),
    UNIQUE (request_id)
);
CREATE INDEX ix_trainings_state ON trainings (state);
CREATE INDEX ix_trainings_created ON trainings (created);
CREATE TABLE evaluations (
    number INTEGER NOT NULL,
    id VARCHAR(64) NOT NULL,
    model_version INTEGER NOT NULL,
    artifact_sha256 VARCHAR(64) NOT NULL,
    dataset VARCHAR(32) NOT NULL,
    state VARCHAR(16) NOT NULL,
    from_training BOOLEAN NOT NULL,
    created DATETIME NOT NULL,
    ended DATETIME,
    metrics JSON,
    probabilities BLOB,
    failure_reason TEXT NOT NULL,
    PRIMARY KEY (number),
    UNIQUE (id)
);
CREATE INDEX ix_evaluations_state ON evaluations (state);
CREATE INDEX evaluations_by_version ON evaluations (model_version, dataset);
CREATE TABLE deployments (
    number INTEGER NOT NULL,
    model_version INTEGER NOT NULL,
    cause TEXT NOT NULL,
    created DATETIME NOT NULL,
    PRIMARY KEY (number)
);
