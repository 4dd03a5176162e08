BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE attempt_runs (
	"key" VARCHAR(64) NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	CONSTRAINT pk_attempt_runs PRIMARY KEY ("key", attempt_id), 
	CONSTRAINT fk_attempt_runs_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id)
)
 WITHOUT ROWID

;
INSERT INTO "attempt_runs" VALUES('19fb8d336bd3bb18dee6d2d1b4e642f1ca73f3f929b1d62604fb62a33ff6297d',2);
INSERT INTO "attempt_runs" VALUES('4557c997d7898e5e816cfde1bc24a55d7b7522f2cd89872fec5b00f53d908d58',1);
INSERT INTO "attempt_runs" VALUES('9a8d8eaab80cefe20e306c647f4882bbebe67de7188d4354cf58bd383419ae77',3);
INSERT INTO "attempt_runs" VALUES('cb94dcd37c8c6f13c35a3f9a9a7f19baabe55a52c36b7305a7db83a66bdd4d50',1);
INSERT INTO "attempt_runs" VALUES('fa723d98929be5a4591ae7c43680607128dd949fdd105963928bc2f05be63d24',2);
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	cell TEXT NOT NULL, 
	task TEXT NOT NULL, 
	protocol TEXT NOT NULL, 
	gap INTEGER, 
	started DOUBLE NOT NULL, 
	heartbeat DOUBLE NOT NULL, 
	progress DOUBLE NOT NULL, 
	outcome VARCHAR(16), 
	reason TEXT, 
	CONSTRAINT pk_attempts PRIMARY KEY (id)
);
INSERT INTO "attempts" VALUES(1,'elsewhere:1:0','lstm[layers=2]','gap-copy@1','quick@1',16,1.79541992130690908433e+09,1.79541992131604909894e+09,1.0,'finished',NULL);
INSERT INTO "attempts" VALUES(2,'elsewhere:1:0','gru','gap-copy@1','quick-mixed@1',NULL,1.7954199213320317268e+09,1.79541992134093809129e+09,1.0,'finished',NULL);
INSERT INTO "attempts" VALUES(3,'elsewhere:1:0','lstm[layers=2]','gap-copy@1','quick@1',16,1.79541992136012744903e+09,1.79541992136598324777e+09,0.0,'timed-out','after 600 s');
CREATE TABLE cards (
	id INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	card TEXT NOT NULL, 
	version TEXT NOT NULL, 
	name TEXT NOT NULL, 
	docstring TEXT NOT NULL, 
	source TEXT NOT NULL, 
	options JSON NOT NULL, 
	CONSTRAINT pk_cards PRIMARY KEY (id), 
	CONSTRAINT uq_cards_kind UNIQUE (kind, card, version)
);
INSERT INTO "cards" VALUES(1,'cell','lstm[layers=2]','a1','lstm','A cell.','…','{"layers": 2}');
INSERT INTO "cards" VALUES(2,'task','gap-copy@1','1','gap-copy','A task.','…','{}');
INSERT INTO "cards" VALUES(3,'cell','gru','a1','gru','A cell.','…','{"layers": 2}');
CREATE TABLE plan_runs (
	plan_id INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	cost DOUBLE NOT NULL, 
	CONSTRAINT pk_plan_runs PRIMARY KEY (plan_id, "key"), 
	CONSTRAINT fk_plan_runs_plan_id FOREIGN KEY(plan_id) REFERENCES plans (id)
)
 WITHOUT ROWID

;
INSERT INTO "plan_runs" VALUES(1,'19fb8d336bd3bb18dee6d2d1b4e642f1ca73f3f929b1d62604fb62a33ff6297d',2.5);
INSERT INTO "plan_runs" VALUES(1,'4557c997d7898e5e816cfde1bc24a55d7b7522f2cd89872fec5b00f53d908d58',2.5);
INSERT INTO "plan_runs" VALUES(1,'9a8d8eaab80cefe20e306c647f4882bbebe67de7188d4354cf58bd383419ae77',2.5);
INSERT INTO "plan_runs" VALUES(1,'cb94dcd37c8c6f13c35a3f9a9a7f19baabe55a52c36b7305a7db83a66bdd4d50',2.5);
INSERT INTO "plan_runs" VALUES(1,'fa723d98929be5a4591ae7c43680607128dd949fdd105963928bc2f05be63d24',2.5);
CREATE TABLE plans (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	owner TEXT NOT NULL, 
	started DOUBLE NOT NULL, 
	ended DOUBLE, 
	CONSTRAINT pk_plans PRIMARY KEY (id), 
	CONSTRAINT uq_plans_digest UNIQUE (digest)
);
INSERT INTO "plans" VALUES(1,'fdbe404932fd0a584ce4f0b908b486410b33eff8f826def02f050d9560f82070','sweep.toml','elsewhere:4711:1700000000',1700000000.0,NULL);
CREATE TABLE points (
	run_id INTEGER NOT NULL, 
	"update" INTEGER NOT NULL, 
	loss DOUBLE, 
	accuracy DOUBLE, 
	CONSTRAINT pk_points PRIMARY KEY (run_id, "update"), 
	CONSTRAINT fk_points_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID

;
INSERT INTO "points" VALUES(1,100,2.0,0.13);
INSERT INTO "points" VALUES(1,1000,0.01,NULL);
INSERT INTO "points" VALUES(2,37,NULL,NULL);
INSERT INTO "points" VALUES(3,100,2.0,0.13);
INSERT INTO "points" VALUES(3,1000,0.01,NULL);
INSERT INTO "points" VALUES(4,100,2.0,0.13);
INSERT INTO "points" VALUES(4,1000,0.01,NULL);
CREATE TABLE protocols (
	id INTEGER NOT NULL, 
	protocol TEXT NOT NULL, 
	content JSON NOT NULL, 
	CONSTRAINT pk_protocols PRIMARY KEY (id), 
	CONSTRAINT uq_protocols_protocol UNIQUE (protocol)
);
INSERT INTO "protocols" VALUES(1,'quick@1','{"updates": 1000}');
INSERT INTO "protocols" VALUES(2,'quick-mixed@1','{"updates": 1000}');
CREATE TABLE provenances (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	content JSON NOT NULL, 
	CONSTRAINT pk_provenances PRIMARY KEY (id), 
	CONSTRAINT uq_provenances_digest UNIQUE (digest)
);
INSERT INTO "provenances" VALUES(1,'ea3ed9e18200b16f54e63a2f44c728ca90abf54f2eb4231645aac0d2ae48f933','{"threads": 2, "torch": "2.13"}');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	"key" VARCHAR(64) NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	cell_id INTEGER NOT NULL, 
	task_id INTEGER NOT NULL, 
	protocol_id INTEGER NOT NULL, 
	provenance_id INTEGER NOT NULL, 
	division VARCHAR(8) NOT NULL, 
	repetition INTEGER NOT NULL, 
	lr DOUBLE NOT NULL, 
	gap INTEGER, 
	hidden_size INTEGER NOT NULL, 
	dtype VARCHAR(16) NOT NULL, 
	numerics INTEGER NOT NULL, 
	outcome VARCHAR(16) NOT NULL, 
	outcome_update INTEGER, 
	reason TEXT, 
	cell_parameters INTEGER NOT NULL, 
	state_floats INTEGER NOT NULL, 
	updates INTEGER NOT NULL, 
	updates_to_solve INTEGER, 
	gap_auc DOUBLE, 
	seconds DOUBLE NOT NULL, 
	created DOUBLE NOT NULL, 
	retracted DOUBLE, 
	retraction TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT ck_runs_outcome CHECK (outcome IN ('finished', 'diverged', 'crashed')), 
	CONSTRAINT fk_runs_attempt_id FOREIGN KEY(attempt_id) REFERENCES attempts (id), 
	CONSTRAINT fk_runs_cell_id FOREIGN KEY(cell_id) REFERENCES cards (id), 
	CONSTRAINT fk_runs_task_id FOREIGN KEY(task_id) REFERENCES cards (id), 
	CONSTRAINT fk_runs_protocol_id FOREIGN KEY(protocol_id) REFERENCES protocols (id), 
	CONSTRAINT fk_runs_provenance_id FOREIGN KEY(provenance_id) REFERENCES provenances (id)
);
INSERT INTO "runs" VALUES(1,'cb94dcd37c8c6f13c35a3f9a9a7f19baabe55a52c36b7305a7db83a66bdd4d50',1,1,2,1,1,'closed',0,0.003,16,44,'float32',1,'finished',NULL,NULL,7920,88,1000,400,0.96,2.5,1.79541992132389116284e+09,NULL,NULL);
INSERT INTO "runs" VALUES(2,'4557c997d7898e5e816cfde1bc24a55d7b7522f2cd89872fec5b00f53d908d58',1,1,2,1,1,'closed',1,0.003,16,44,'float32',1,'diverged',37,NULL,7920,88,37,NULL,NULL,2.5,1.79541992132840657237e+09,NULL,NULL);
INSERT INTO "runs" VALUES(3,'fa723d98929be5a4591ae7c43680607128dd949fdd105963928bc2f05be63d24',2,3,2,2,1,'closed',0,0.003,NULL,44,'float32',1,'finished',NULL,NULL,7920,88,1000,400,0.96,2.5,1.79541992134437131882e+09,NULL,NULL);
INSERT INTO "runs" VALUES(4,'19fb8d336bd3bb18dee6d2d1b4e642f1ca73f3f929b1d62604fb62a33ff6297d',2,3,2,2,1,'closed',1,0.003,NULL,44,'float32',1,'finished',NULL,NULL,7920,88,1000,400,0.96,2.5,1.79541992134642100333e+09,1.79541992135231351854e+09,'the GPU was faulty');
CREATE TABLE scores (
	run_id INTEGER NOT NULL, 
	split VARCHAR(10) NOT NULL, 
	gap INTEGER NOT NULL, 
	n INTEGER NOT NULL, 
	n_correct INTEGER, 
	chance DOUBLE NOT NULL, 
	extrapolated BOOLEAN NOT NULL, 
	CONSTRAINT pk_scores PRIMARY KEY (run_id, split, gap), 
	CONSTRAINT ck_scores_n_correct CHECK (n_correct BETWEEN 0 AND n), 
	CONSTRAINT fk_scores_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
)
 WITHOUT ROWID

;
INSERT INTO "scores" VALUES(1,'test',16,1024,998,0.125,0);
INSERT INTO "scores" VALUES(1,'validation',16,1024,1000,0.125,0);
INSERT INTO "scores" VALUES(2,'test',16,1024,NULL,0.125,0);
INSERT INTO "scores" VALUES(2,'validation',16,1024,NULL,0.125,0);
INSERT INTO "scores" VALUES(3,'test',16,1024,998,0.125,0);
INSERT INTO "scores" VALUES(3,'validation',16,1024,1000,0.125,0);
INSERT INTO "scores" VALUES(4,'test',16,1024,998,0.125,0);
INSERT INTO "scores" VALUES(4,'validation',16,1024,1000,0.125,0);
CREATE UNIQUE INDEX uq_runs_key ON runs ("key") WHERE retracted IS NULL;
CREATE INDEX ix_runs_cell ON runs (cell_id) WHERE retracted IS NULL;
CREATE INDEX ix_runs_task ON runs (task_id, protocol_id) WHERE retracted IS NULL;
CREATE TRIGGER runs_no_update BEFORE UPDATE OF id, key, attempt_id, cell_id, task_id, protocol_id, provenance_id, division, repetition, lr, gap, hidden_size, dtype, numerics, outcome, outcome_update, reason, cell_parameters, state_floats, updates, updates_to_solve, gap_auc, seconds, created ON runs FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
CREATE TRIGGER runs_no_delete BEFORE DELETE ON runs FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
CREATE TRIGGER scores_no_update BEFORE UPDATE ON scores FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
CREATE TRIGGER scores_no_delete BEFORE DELETE ON scores FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
CREATE TRIGGER points_no_update BEFORE UPDATE ON points FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
CREATE TRIGGER points_no_delete BEFORE DELETE ON points FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'a finished run is immutable'); END;
COMMIT;
