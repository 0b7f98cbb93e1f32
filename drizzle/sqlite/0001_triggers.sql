-- Every change of a run's status or demands leaves a row in run_events, whoever makes it:
-- waiting servers read that table to learn what became claimable and what ended.
CREATE TRIGGER runs_added AFTER INSERT ON runs
BEGIN
  INSERT INTO run_events (run_seq, at, from_status, to_status, runner_id)
  VALUES (NEW.seq, NEW.updated_at, NULL, NEW.status, NEW.runner_id);
END;
--> statement-breakpoint
CREATE TRIGGER runs_changed AFTER UPDATE OF status, demands ON runs
WHEN NEW.status <> OLD.status OR NEW.demands IS NOT OLD.demands
BEGIN
  INSERT INTO run_events (run_seq, at, from_status, to_status, runner_id)
  VALUES (NEW.seq, NEW.updated_at, OLD.status, NEW.status, coalesce(NEW.runner_id, OLD.runner_id));
END;
--> statement-breakpoint
-- Demands are canonical also where a run comes by plain SQL, since the claim compares them as text
-- and readers rely on their form: unset properties are absent, tags are sorted, unique and always
-- there, nothing demanded is NULL. (A merge patch drops what is null.)
CREATE TRIGGER runs_canonical_demands AFTER INSERT ON runs
WHEN NEW.demands IS NOT NULL
BEGIN
  UPDATE runs SET demands = canonical.demands
  FROM (
    SELECT nullif(json_patch('{"tags":[]}', json_object(
      'tags', (
        SELECT json_group_array(value)
        FROM (SELECT DISTINCT value FROM json_each(NEW.demands, '$.tags') ORDER BY value)),
      'hostname', nullif(NEW.demands ->> '$.hostname', ''),
      'project_dir', nullif(NEW.demands ->> '$.project_dir', ''),
      'executor_type', nullif(NEW.demands ->> '$.executor_type', ''),
      'executor_profile', nullif(NEW.demands ->> '$.executor_profile', '')
    )), '{"tags":[]}') AS demands
  ) AS canonical
  WHERE seq = NEW.seq AND runs.demands IS NOT canonical.demands;
END;
--> statement-breakpoint
CREATE TRIGGER runners_deregistered AFTER UPDATE OF deregistered_at ON runners
WHEN NEW.deregistered_at IS NOT NULL AND OLD.deregistered_at IS NULL
BEGIN
  INSERT INTO runner_signals (runner_id) VALUES (NEW.runner_id);
END;
--> statement-breakpoint
CREATE TRIGGER runners_removed AFTER DELETE ON runners
BEGIN
  INSERT INTO runner_signals (runner_id) VALUES (OLD.runner_id);
END;
--> statement-breakpoint
CREATE TRIGGER sessions_stopping AFTER UPDATE OF status ON sessions
WHEN NEW.status = 'stopping' AND OLD.status <> 'stopping' AND NEW.runner_id IS NOT NULL
BEGIN
  INSERT INTO runner_signals (runner_id) VALUES (NEW.runner_id);
END;
--> statement-breakpoint
CREATE TRIGGER runner_signals_bounded AFTER INSERT ON runner_signals
BEGIN
  DELETE FROM runner_signals WHERE signal_id <= NEW.signal_id - 10000;
END;
