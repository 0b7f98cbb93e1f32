-- Why and by whom runs change; outcomes that wait for their parents.
CREATE TABLE `callbacks` (
	`callback_id` integer PRIMARY KEY NOT NULL,
	`parent_session_id` text NOT NULL,
	`child_session_id` text NOT NULL,
	`child_run_id` text NOT NULL,
	`status` text NOT NULL,
	`text` text NOT NULL,
	`created_at` text NOT NULL,
	FOREIGN KEY (`parent_session_id`) REFERENCES `sessions`(`session_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX `idx_callbacks_parent` ON `callbacks` (`parent_session_id`,`callback_id`);--> statement-breakpoint
ALTER TABLE `run_events` ADD `cause` text;--> statement-breakpoint
ALTER TABLE `run_events` ADD `changed_by` text;--> statement-breakpoint
ALTER TABLE `run_events` ADD `attempt` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `run_events` ADD `detail` text;--> statement-breakpoint
CREATE INDEX `idx_run_events_run` ON `run_events` (`run_seq`);--> statement-breakpoint
ALTER TABLE `runs` ADD `cause` text;--> statement-breakpoint
ALTER TABLE `runs` ADD `changed_by` text;--> statement-breakpoint
ALTER TABLE `runs` ADD `traceparent` text;
--> statement-breakpoint
-- Of more than two words in IN (…) SQLite builds a table for each row that it checks, at 1.5 µs of the 7
-- that a change of a run takes. (A row is not copied by this, only read once.)
ALTER TABLE `runs` DROP CONSTRAINT "runs_status";--> statement-breakpoint
ALTER TABLE `runs` ADD CONSTRAINT "runs_status" CHECK(status = 'pending' OR status = 'claimed' OR status = 'running' OR status = 'stopping' OR status = 'completed' OR status = 'failed' OR status = 'stopped');--> statement-breakpoint
ALTER TABLE `runs` DROP CONSTRAINT "runs_execution_mode";--> statement-breakpoint
ALTER TABLE `runs` ADD CONSTRAINT "runs_execution_mode" CHECK(execution_mode = 'sync' OR execution_mode = 'async_poll' OR execution_mode = 'async_callback');--> statement-breakpoint
ALTER TABLE `sessions` DROP CONSTRAINT "sessions_status";--> statement-breakpoint
ALTER TABLE `sessions` ADD CONSTRAINT "sessions_status" CHECK(status = 'pending' OR status = 'running' OR status = 'idle' OR status = 'stopping' OR status = 'stopped' OR status = 'finished' OR status = 'failed');
--> statement-breakpoint
-- The history of a run lives as long as the run does. (The newest event stays, so that ids do not
-- come back.)
DELETE FROM run_events
WHERE run_seq NOT IN (SELECT seq FROM runs) AND event_id < (SELECT max(event_id) FROM run_events);
--> statement-breakpoint
-- Metrics are the sum of all events, folded into counters up to metrics_event_id: those of a run that
-- is deleted stay until then. What runs there are is what events tell, but for those that are deleted.
CREATE TRIGGER runs_deleted AFTER DELETE ON runs
BEGIN
  DELETE FROM run_events
  WHERE run_seq = OLD.seq AND event_id < (SELECT max(event_id) FROM run_events)
    AND NOT EXISTS (
      SELECT 1 FROM run_events AS unfolded
      WHERE unfolded.run_seq = OLD.seq
        AND unfolded.event_id > (SELECT value FROM counters WHERE name = 'metrics_event_id'));
  INSERT INTO counters (name, value) VALUES ('metrics_runs_' || OLD.status, -1)
  ON CONFLICT (name) DO UPDATE SET value = value - 1;
END;
--> statement-breakpoint
INSERT INTO counters (name, value) VALUES ('metrics_event_id', 0);
--> statement-breakpoint
-- What there was before the first event that is kept.
INSERT INTO counters (name, value)
SELECT 'metrics_runs_' || status, sum(runs) FROM (
  SELECT status, count(*) AS runs FROM runs GROUP BY status
  UNION ALL SELECT to_status, -count(*) FROM run_events GROUP BY to_status
  UNION ALL SELECT from_status, count(*) FROM run_events
    WHERE from_status IS NOT NULL GROUP BY from_status)
GROUP BY status;
--> statement-breakpoint
DROP TRIGGER runs_added;
--> statement-breakpoint
CREATE TRIGGER runs_added AFTER INSERT ON runs
BEGIN
  INSERT INTO run_events (run_seq, at, from_status, to_status, runner_id, cause, changed_by, attempt)
  VALUES (NEW.seq, NEW.updated_at, NULL, NEW.status, NEW.runner_id, NEW.cause, NEW.changed_by, NEW.attempt);
END;
--> statement-breakpoint
-- A statement that leaves the cause as it was is not the service's, which names another for each change
-- of the status; of changes that leave the status, what changed tells the cause.
DROP TRIGGER runs_changed;
--> statement-breakpoint
CREATE TRIGGER runs_changed AFTER UPDATE OF status, demands, available_at ON runs
WHEN NEW.status <> OLD.status OR NEW.demands IS NOT OLD.demands
  OR (NEW.status = 'pending' AND NEW.available_at IS NOT OLD.available_at)
BEGIN
  INSERT INTO run_events
    (run_seq, at, from_status, to_status, runner_id, cause, changed_by, attempt, detail)
  VALUES (
    NEW.seq, NEW.updated_at, OLD.status, NEW.status, coalesce(NEW.runner_id, OLD.runner_id),
    CASE
      WHEN NEW.cause IS NOT OLD.cause THEN NEW.cause
      WHEN NEW.status <> OLD.status THEN NULL
      WHEN NEW.demands IS NOT OLD.demands THEN 'demands_changed'
      WHEN NEW.available_at IS NULL THEN 'became_available'
    END,
    iif(NEW.cause IS NOT OLD.cause, NEW.changed_by, NULL),
    max(NEW.attempt, OLD.attempt),
    -- The same error may end one attempt after the other.
    iif(NEW.status = 'failed' OR NEW.error IS NOT OLD.error
        OR (NEW.status = 'pending'
          AND (OLD.status = 'running' OR (OLD.status = 'claimed' AND NEW.cause = 'attempt_failed'))),
      substr(NEW.error, 1, 1000), NULL));
END;
--> statement-breakpoint
-- So that the next change is told from this one, though it may name the cause that is left here.
CREATE TRIGGER runs_changed_by_hand AFTER UPDATE OF status ON runs
WHEN NEW.status <> OLD.status AND NEW.cause IS OLD.cause AND NEW.cause IS NOT NULL
BEGIN
  UPDATE runs SET cause = NULL, changed_by = NULL WHERE seq = NEW.seq;
END;
--> statement-breakpoint
-- What changes in sessions, for those who follow them live: from when somebody first did, the row is
-- there in counters, and until then the triggers find nothing to write.
CREATE TABLE `session_changes` (
	`change_id` integer PRIMARY KEY NOT NULL,
	`at` text NOT NULL,
	`kind` text NOT NULL,
	`session_id` text NOT NULL,
	`event_id` integer,
	`data` text
);
--> statement-breakpoint
CREATE TRIGGER session_changes_created AFTER INSERT ON sessions
WHEN EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes')
BEGIN
  INSERT INTO session_changes (at, kind, session_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ'), 'session_created', NEW.session_id,
    json_object(
      'session_id', NEW.session_id, 'status', NEW.status, 'created_at', NEW.created_at,
      'project_dir', NEW.project_dir, 'agent_name', NEW.agent_name,
      'last_resumed_at', NEW.last_resumed_at, 'parent_session_id', NEW.parent_session_id,
      'executor_session_id', NEW.executor_session_id, 'executor_profile', NEW.executor_profile,
      'hostname', NEW.hostname));
END;
--> statement-breakpoint
CREATE TRIGGER session_changes_updated AFTER UPDATE ON sessions
WHEN (NEW.status IS NOT OLD.status OR NEW.created_at IS NOT OLD.created_at
    OR NEW.project_dir IS NOT OLD.project_dir OR NEW.agent_name IS NOT OLD.agent_name
    OR NEW.last_resumed_at IS NOT OLD.last_resumed_at
    OR NEW.parent_session_id IS NOT OLD.parent_session_id
    OR NEW.executor_session_id IS NOT OLD.executor_session_id
    OR NEW.executor_profile IS NOT OLD.executor_profile OR NEW.hostname IS NOT OLD.hostname)
  AND EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes')
BEGIN
  INSERT INTO session_changes (at, kind, session_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ'), 'session_updated', NEW.session_id,
    json_object(
      'session_id', NEW.session_id, 'status', NEW.status, 'created_at', NEW.created_at,
      'project_dir', NEW.project_dir, 'agent_name', NEW.agent_name,
      'last_resumed_at', NEW.last_resumed_at, 'parent_session_id', NEW.parent_session_id,
      'executor_session_id', NEW.executor_session_id, 'executor_profile', NEW.executor_profile,
      'hostname', NEW.hostname));
END;
--> statement-breakpoint
CREATE TRIGGER session_changes_deleted AFTER DELETE ON sessions
WHEN EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes')
BEGIN
  INSERT INTO session_changes (at, kind, session_id)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ'), 'session_deleted', OLD.session_id);
END;
--> statement-breakpoint
CREATE TRIGGER session_changes_event AFTER INSERT ON session_events
WHEN EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes')
BEGIN
  INSERT INTO session_changes (at, kind, session_id, event_id)
  SELECT strftime('%Y-%m-%dT%H:%M:%fZ'), 'event', session_id, NEW.id
  FROM sessions WHERE seq = NEW.session_seq;
END;
--> statement-breakpoint
CREATE TRIGGER session_changes_failed AFTER UPDATE OF status ON runs
WHEN NEW.status = 'failed' AND OLD.status <> 'failed'
  AND NEW.cause IN ('match_timed_out', 'runner_lost', 'runner_removed', 'recovered')
  AND EXISTS (SELECT 1 FROM counters WHERE name = 'session_changes')
BEGIN
  INSERT INTO session_changes (at, kind, session_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ'), 'run_failed', NEW.session_id,
    json_object('run_id', NEW.run_id, 'error', NEW.error));
END;
--> statement-breakpoint
CREATE TRIGGER session_changes_bounded AFTER INSERT ON session_changes
BEGIN
  DELETE FROM session_changes WHERE change_id <= NEW.change_id - 10000;
END;
--> statement-breakpoint
-- What a child came to is kept for its parent, whoever ended it; of a long text one character more
-- than the parent is told, so that the cut shows.
CREATE TRIGGER runs_ended AFTER UPDATE OF status ON runs
WHEN NEW.execution_mode = 'async_callback' AND NEW.parent_session_id <> NEW.session_id
  AND NEW.status IN ('completed', 'failed', 'stopped')
  AND OLD.status NOT IN ('completed', 'failed', 'stopped')
BEGIN
  INSERT INTO callbacks (parent_session_id, child_session_id, child_run_id, status, text, created_at)
  SELECT parent.session_id, NEW.session_id, NEW.run_id,
    iif(NEW.status = 'completed', 'completed', 'failed'),
    substr(coalesce(CASE NEW.status
      WHEN 'failed' THEN NEW.error
      WHEN 'stopped' THEN 'The run was stopped'
      ELSE coalesce(
        nullif(NEW.result -> '$.data', 'null'),
        NEW.result ->> '$.text',
        (SELECT coalesce(nullif(payload -> '$.result_data', 'null'), payload ->> '$.result_text')
         FROM session_events
         WHERE session_seq = child.seq AND (run_id = NEW.run_id OR run_id IS NULL)
           AND event_type = 'result'
         ORDER BY id DESC LIMIT 1),
        (SELECT iif(json_type(payload, '$.content') = 'text', payload ->> '$.content',
           payload ->> '$.content[0].text')
         FROM session_events
         WHERE session_seq = child.seq AND (run_id = NEW.run_id OR run_id IS NULL)
           AND event_type = 'message' AND payload ->> '$.role' = 'assistant'
         ORDER BY id DESC LIMIT 1))
    END, ''), 1, 65537),
    NEW.updated_at
  FROM sessions AS parent CROSS JOIN sessions AS child
  WHERE parent.session_id = NEW.parent_session_id AND child.session_id = NEW.session_id;
END;
--> statement-breakpoint
-- Deleted before its end, it has no other.
CREATE TRIGGER runs_ended_by_deletion AFTER DELETE ON runs
WHEN OLD.execution_mode = 'async_callback' AND OLD.parent_session_id <> OLD.session_id
  AND OLD.status NOT IN ('completed', 'failed', 'stopped')
BEGIN
  INSERT INTO callbacks (parent_session_id, child_session_id, child_run_id, status, text, created_at)
  SELECT session_id, OLD.session_id, OLD.run_id, 'failed', 'The run was deleted',
    strftime('%Y-%m-%dT%H:%M:%fZ')
  FROM sessions WHERE session_id = OLD.parent_session_id;
END;
