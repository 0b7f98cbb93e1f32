-- Runs that wait for their time. Written by hand where the generated form would copy the table,
-- which takes long where there are many runs, and would drop its triggers.
ALTER TABLE `runs` ADD `retry_delay_seconds` real;--> statement-breakpoint
ALTER TABLE `runs` ADD `on_lost` text DEFAULT 'fail' NOT NULL CONSTRAINT "runs_on_lost" CHECK(on_lost IN ('fail', 'requeue'));--> statement-breakpoint
ALTER TABLE `runs` ADD `available_at` text;--> statement-breakpoint
DROP INDEX `idx_runs_claim`;--> statement-breakpoint
CREATE INDEX `idx_runs_claim` ON `runs` (`demand_key`,priority DESC,`created_at`) WHERE status = 'pending' AND available_at IS NULL;--> statement-breakpoint
CREATE INDEX `idx_runs_available` ON `runs` (`available_at`) WHERE status = 'pending' AND available_at IS NOT NULL;--> statement-breakpoint
-- A run that becomes available is news for those who wait, as one that becomes pending is.
DROP TRIGGER runs_changed;--> statement-breakpoint
CREATE TRIGGER runs_changed AFTER UPDATE OF status, demands, available_at ON runs
WHEN NEW.status <> OLD.status OR NEW.demands IS NOT OLD.demands
  OR (NEW.status = 'pending' AND NEW.available_at IS NOT OLD.available_at)
BEGIN
  INSERT INTO run_events (run_seq, at, from_status, to_status, runner_id)
  VALUES (NEW.seq, NEW.updated_at, OLD.status, NEW.status, coalesce(NEW.runner_id, OLD.runner_id));
END;
--> statement-breakpoint
-- The tags are put through json(): newer SQLite does not remember that a subquery's text is JSON, and
-- made a text of the list.
DROP TRIGGER runs_canonical_demands;--> statement-breakpoint
CREATE TRIGGER runs_canonical_demands AFTER INSERT ON runs
WHEN NEW.demands IS NOT NULL
BEGIN
  UPDATE runs SET demands = canonical.demands
  FROM (
    SELECT nullif(json_patch('{"tags":[]}', json_object(
      'tags', json((
        SELECT json_group_array(value)
        FROM (SELECT DISTINCT value FROM json_each(NEW.demands, '$.tags') ORDER BY value))),
      'hostname', nullif(NEW.demands ->> '$.hostname', ''),
      'project_dir', nullif(NEW.demands ->> '$.project_dir', ''),
      'executor_type', nullif(NEW.demands ->> '$.executor_type', ''),
      'executor_profile', nullif(NEW.demands ->> '$.executor_profile', '')
    )), '{"tags":[]}') AS demands
  ) AS canonical
  WHERE seq = NEW.seq AND runs.demands IS NOT canonical.demands;
END;
--> statement-breakpoint
-- How many runs are pending, counted as they come and go, from when somebody first asks: the row is
-- then there, and until then the triggers find nothing to write.
CREATE TABLE `counters` (
	`name` text PRIMARY KEY NOT NULL,
	`value` integer NOT NULL
);
--> statement-breakpoint
CREATE TRIGGER runs_pending_added AFTER INSERT ON runs
WHEN NEW.status = 'pending'
BEGIN
  UPDATE counters SET value = value + 1 WHERE name = 'pending';
END;
--> statement-breakpoint
CREATE TRIGGER runs_pending_changed AFTER UPDATE OF status ON runs
WHEN (NEW.status = 'pending') <> (OLD.status = 'pending')
BEGIN
  UPDATE counters SET value = value + iif(NEW.status = 'pending', 1, -1) WHERE name = 'pending';
END;
--> statement-breakpoint
CREATE TRIGGER runs_pending_deleted AFTER DELETE ON runs
WHEN OLD.status = 'pending'
BEGIN
  UPDATE counters SET value = value - 1 WHERE name = 'pending';
END;
--> statement-breakpoint
-- Who may call.
CREATE TABLE `tokens` (
	`token_id` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`token_hash` text NOT NULL,
	`created_at` text NOT NULL,
	`expires_at` text,
	`revoked_at` text,
	`bucket_level` real DEFAULT 0 NOT NULL,
	`bucket_at` text,
	CONSTRAINT "tokens_role" CHECK(role IN ('client', 'runner', 'admin'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tokens_token_hash_unique` ON `tokens` (`token_hash`);--> statement-breakpoint
ALTER TABLE `runners` ADD `token_id` text;--> statement-breakpoint
-- Events refer to their session by seq, so that those of sessions at hand stand together.
CREATE TABLE `__new_session_events` (
	`id` integer PRIMARY KEY NOT NULL,
	`session_seq` integer NOT NULL,
	`run_id` text,
	`event_type` text NOT NULL,
	`timestamp` text NOT NULL,
	`payload` text NOT NULL,
	FOREIGN KEY (`session_seq`) REFERENCES `sessions`(`seq`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
INSERT INTO `__new_session_events` ("id", "session_seq", "run_id", "event_type", "timestamp", "payload")
SELECT "id", sessions.seq, "run_id", "event_type", "timestamp", "payload"
FROM `session_events` JOIN sessions USING (session_id);--> statement-breakpoint
DROP TABLE `session_events`;--> statement-breakpoint
ALTER TABLE `__new_session_events` RENAME TO `session_events`;--> statement-breakpoint
CREATE INDEX `idx_session_events_session` ON `session_events` (`session_seq`,`id`);
