-- What every release has kept: a run, its version's evaluation, and two deployments.
INSERT INTO trainings (id, recipe, options, state, deploy_when_done, created, history, model_version, failure_reason)
VALUES (
    'old-run', 'classic',
    '{"architecture": "mlp", "activation": "relu", "optimizer": "adam", "learning_rate": 0.001, "epochs": 10, "batch_size": 32, "augmentation": "none", "seed": 1}',
    'succeeded', 1, '2026-01-02 03:04:05.000000', '[]', 1, ''
);
INSERT INTO evaluations (id, model_version, artifact_sha256, dataset, state, from_training, created, failure_reason)
VALUES ('old-evaluation', 1, 'of another artifact', 'mnist_test', 'failed', 0, '2026-01-02 03:05:00.000000', 'on purpose');
INSERT INTO deployments (model_version, cause, created) VALUES (2, 'the second', '2026-01-02 03:06:00.000000');
INSERT INTO deployments (model_version, cause, created) VALUES (1, 'the first again', '2026-01-02 03:07:00.000000');
