-- The tables of the last release that had no revisions.
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
    stopped_early BOOLEAN DEFAULT 0 NOT NULL,
    resumes INTEGER DEFAULT '0' NOT NULL,
    device TEXT DEFAULT '' NOT NULL,
    libraries JSON,
    call_id VARCHAR(128) DEFAULT '' NOT NULL,
    base_version INTEGER,
    samples INTEGER DEFAULT '0' NOT NULL,
    gate JSON,
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
CREATE INDEX evaluations_by_version ON evaluations (model_version, dataset);
CREATE INDEX ix_evaluations_state ON evaluations (state);
CREATE TABLE deployments (
    number INTEGER NOT NULL,
    model_version INTEGER NOT NULL,
    action VARCHAR(16) DEFAULT 'deployed' NOT NULL,
    cause TEXT NOT NULL,
    created DATETIME NOT NULL,
    PRIMARY KEY (number)
);
CREATE TABLE deployment_requests (
    request_id VARCHAR(64) NOT NULL,
    model_version INTEGER NOT NULL,
    created DATETIME NOT NULL,
    PRIMARY KEY (request_id)
);
CREATE TABLE mislabelled (
    dataset VARCHAR(32) NOT NULL,
    digit_index INTEGER NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    correct_label INTEGER,
    created DATETIME NOT NULL,
    PRIMARY KEY (dataset, digit_index, sha256)
);
CREATE TABLE samples (
    number INTEGER NOT NULL,
    id VARCHAR(32) NOT NULL,
    request_id VARCHAR(128),
    label INTEGER NOT NULL,
    predicted_digit INTEGER NOT NULL,
    confidence FLOAT NOT NULL,
    model_version INTEGER NOT NULL,
    source VARCHAR(16) NOT NULL,
    created DATETIME NOT NULL,
    updated DATETIME,
    is_test_digit BOOLEAN NOT NULL,
    is_aside BOOLEAN NOT NULL,
    pixels_sha256 VARCHAR(64) NOT NULL,
    fingerprints JSON NOT NULL,
    pixels BLOB NOT NULL,
    drawing BLOB NOT NULL,
    PRIMARY KEY (number),
    UNIQUE (id),
    UNIQUE (request_id)
);
CREATE INDEX ix_samples_pixels_sha256 ON samples (pixels_sha256);
