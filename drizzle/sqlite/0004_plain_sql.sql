-- A run may come by `INSERT INTO runs (parameters) …` alone: its ids have defaults, and its session is
-- made. Defaults are no part of what is stored, so SQLite's documentation of ALTER TABLE has them
-- changed in this way; a copy of the table, which the generated form makes, takes long where there are
-- many runs.
PRAGMA writable_schema = ON;--> statement-breakpoint
UPDATE sqlite_schema SET sql = replace(replace(replace(sql,
  '`run_id` text NOT NULL', '`run_id` text DEFAULT (''run_'' || lower(hex(randomblob(6)))) NOT NULL'),
  '`session_id` text NOT NULL', '`session_id` text DEFAULT (''ses_'' || lower(hex(randomblob(6)))) NOT NULL'),
  '`type` text NOT NULL', '`type` text DEFAULT ''start_session'' NOT NULL')
WHERE type = 'table' AND name = 'runs';
--> statement-breakpoint
-- The service names a cause and has seen to all of this itself. First what is refused, in words that
-- constraints have not.
CREATE TRIGGER runs_by_hand_checked BEFORE INSERT ON runs
WHEN NEW.cause IS NULL
BEGIN
  SELECT RAISE(ABORT, 'runs.parameters must be a JSON object with a prompt, such as {"prompt":"hello"}')
  WHERE NOT coalesce(json_valid(NEW.parameters) AND json_type(NEW.parameters) = 'object'
    AND json_type(NEW.parameters, '$.prompt') = 'text'
    AND NEW.parameters ->> '$.prompt' <> '', false);
  SELECT RAISE(ABORT, 'runs.demands must be a JSON object with a list of tags, such as {"tags":["gpu"]}')
  WHERE NEW.demands IS NOT NULL AND NOT (json_valid(NEW.demands)
    AND json_type(NEW.demands) = 'object'
    AND coalesce(json_type(NEW.demands, '$.tags'), 'array') = 'array');
  SELECT RAISE(ABORT, 'runs.type is start_session or resume_session')
  WHERE NEW.type NOT IN ('start_session', 'resume_session');
  SELECT RAISE(ABORT, 'runs.session_id must be of a session that is there, where the type is resume_session')
  WHERE NEW.type = 'resume_session'
    AND NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = NEW.session_id);
END;
--> statement-breakpoint
-- Then the session: a new one, or one that ended and waits again.
CREATE TRIGGER runs_by_hand AFTER INSERT ON runs
WHEN NEW.cause IS NULL AND NEW.status = 'pending'
BEGIN
  INSERT INTO sessions
    (session_id, status, created_at, project_dir, agent_name, parent_session_id, updated_at)
  SELECT NEW.session_id, 'pending', NEW.created_at, NEW.project_dir, NEW.agent_name,
    NEW.parent_session_id, NEW.updated_at
  WHERE NOT EXISTS (SELECT 1 FROM sessions WHERE session_id = NEW.session_id);
  UPDATE sessions
  SET status = 'pending', last_resumed_at = NEW.created_at, updated_at = NEW.updated_at
  WHERE session_id = NEW.session_id AND NEW.type = 'resume_session'
    AND status IN ('idle', 'finished', 'stopped', 'failed');
END;
--> statement-breakpoint
PRAGMA writable_schema = RESET;
