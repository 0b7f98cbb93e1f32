-- Names are qualified: whoever writes by plain SQL may have another search_path.
--
-- How demands are sought. A part of a key is what it stands for, or a digest where that would make
-- the key too long for an index; equal values have equal parts, which is all that the claim needs.
CREATE FUNCTION runqueue.key_part(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(value) <= 200 THEN value
  ELSE 'sha256:' || encode(sha256(convert_to(value, 'UTF8')), 'hex')
END;
--> statement-breakpoint
-- Demands are canonical also where a run comes by plain SQL: unset properties are absent, tags are
-- sorted, unique and always there, nothing demanded is NULL.
CREATE FUNCTION runqueue.canonical_demands(demands jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN nullif(
  jsonb_strip_nulls(jsonb_build_object(
    'hostname', nullif(demands ->> 'hostname', ''),
    'project_dir', nullif(demands ->> 'project_dir', ''),
    'executor_type', nullif(demands ->> 'executor_type', ''),
    'executor_profile', nullif(demands ->> 'executor_profile', ''),
    'tags', coalesce((
      SELECT jsonb_agg(tag ORDER BY tag COLLATE "C")
      FROM (SELECT DISTINCT jsonb_array_elements_text(demands -> 'tags') AS tag) AS tags
    ), '[]'))),
  '{"tags": []}');
--> statement-breakpoint
-- `{host,dir,type,profile,tag,…}`, an unset property being ''. Arrays compare element by element, so
-- keys that begin alike stand together. More tags than an index can hold (all together some 1 800
-- bytes) are cut short; the last element then says so, and sorts after every tag.
CREATE FUNCTION runqueue.demand_key(demands jsonb) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
  SELECT array_agg(part ORDER BY place)
  FROM (
    SELECT place, CASE WHEN size <= 1800 THEN part ELSE U&'\+10FFFF' END AS part
    FROM (
      SELECT place, part,
        sum(octet_length(part) + 8) OVER (ORDER BY place) AS size,
        sum(octet_length(part) + 8) OVER (ORDER BY place) - octet_length(part) - 8 AS size_before
      FROM (
        SELECT place, runqueue.key_part(coalesce(value, '')) AS part
        FROM unnest(ARRAY[
          demands ->> 'hostname', demands ->> 'project_dir',
          demands ->> 'executor_type', demands ->> 'executor_profile'
        ]) WITH ORDINALITY AS property(value, place)
        UNION ALL
        SELECT 4 + place, runqueue.key_part(value)
        FROM jsonb_array_elements_text(demands -> 'tags') WITH ORDINALITY AS tag(value, place)
      ) AS parts
    ) AS sized
    WHERE size_before <= 1800
  ) AS kept
);
--> statement-breakpoint
CREATE FUNCTION runqueue.keep_demands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- Ill-typed demands are left as they are: the table's constraint refuses them.
  IF NEW.demands IS NOT NULL AND (jsonb_typeof(NEW.demands) <> 'object'
      OR coalesce(jsonb_typeof(NEW.demands -> 'tags'), 'array') <> 'array') THEN
    RETURN NEW;
  END IF;
  IF NEW.demands IS NOT NULL THEN
    NEW.demands := runqueue.canonical_demands(NEW.demands);
  END IF;
  IF NEW.demands IS NULL THEN
    NEW.demand_key := '{"","","",""}';
  ELSE
    NEW.demand_key := runqueue.demand_key(NEW.demands);
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_demands_added BEFORE INSERT ON "runs"
FOR EACH ROW WHEN (NEW.demands IS NOT NULL) EXECUTE FUNCTION runqueue.keep_demands();
--> statement-breakpoint
CREATE TRIGGER runs_demands_changed BEFORE UPDATE OF demands, demand_key ON "runs"
FOR EACH ROW EXECUTE FUNCTION runqueue.keep_demands();
--> statement-breakpoint
-- A hint for those who wait, sent by PostgreSQL with the commit. Servers turn this off for themselves
-- (runqueue.hint) and send one hint for many commits: a commit that notifies holds a lock of the whole
-- cluster until it is on the disk, so that no two would share a write to it.
CREATE FUNCTION runqueue.hint() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('runqueue.hint', true) IS DISTINCT FROM 'off' THEN
    PERFORM pg_notify('runqueue', '');
  END IF;
END $$;
--> statement-breakpoint
-- Every change of a run's status or demands leaves a row in run_events, whoever makes it: waiting
-- servers read that table to learn what became claimable and what ended.
CREATE FUNCTION runqueue.tell_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO runqueue.run_events (run_seq, at, from_status, to_status, runner_id)
  VALUES (NEW.seq, NEW.updated_at, NULL, NEW.status, NEW.runner_id);
  PERFORM runqueue.hint();
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_added AFTER INSERT ON "runs"
FOR EACH ROW EXECUTE FUNCTION runqueue.tell_added();
--> statement-breakpoint
CREATE FUNCTION runqueue.tell_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO runqueue.run_events (run_seq, at, from_status, to_status, runner_id)
  VALUES (NEW.seq, NEW.updated_at, OLD.status, NEW.status, coalesce(NEW.runner_id, OLD.runner_id));
  PERFORM runqueue.hint();
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_changed AFTER UPDATE OF status, demands, available_at ON "runs"
FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.demands IS DISTINCT FROM OLD.demands
  OR (NEW.status = 'pending' AND NEW.available_at IS DISTINCT FROM OLD.available_at))
EXECUTE FUNCTION runqueue.tell_changed();
--> statement-breakpoint
-- Only the latest signals are kept. SKIP LOCKED: nobody waits for another who tidies up.
CREATE FUNCTION runqueue.signal_runner() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  newest bigint;
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO runqueue.runner_signals (runner_id) VALUES (OLD.runner_id) RETURNING signal_id INTO newest;
  ELSE
    INSERT INTO runqueue.runner_signals (runner_id) VALUES (NEW.runner_id) RETURNING signal_id INTO newest;
  END IF;
  DELETE FROM runqueue.runner_signals WHERE signal_id IN (
    SELECT signal_id FROM runqueue.runner_signals WHERE signal_id <= newest - 10000
    ORDER BY signal_id LIMIT 10 FOR UPDATE SKIP LOCKED);
  PERFORM runqueue.hint();
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runners_deregistered AFTER UPDATE OF deregistered_at ON "runners"
FOR EACH ROW WHEN (NEW.deregistered_at IS NOT NULL AND OLD.deregistered_at IS NULL)
EXECUTE FUNCTION runqueue.signal_runner();
--> statement-breakpoint
CREATE TRIGGER runners_removed AFTER DELETE ON "runners"
FOR EACH ROW EXECUTE FUNCTION runqueue.signal_runner();
--> statement-breakpoint
CREATE TRIGGER sessions_stopping AFTER UPDATE OF status ON "sessions"
FOR EACH ROW WHEN (NEW.status = 'stopping' AND OLD.status <> 'stopping' AND NEW.runner_id IS NOT NULL)
EXECUTE FUNCTION runqueue.signal_runner();
--> statement-breakpoint
-- How many runs are pending, counted as they come and go, from when somebody first asks: the rows are
-- then there, and until then the triggers find nothing to write.
CREATE FUNCTION runqueue.count_pending() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change integer := CASE
    WHEN TG_OP = 'DELETE' THEN -1
    WHEN NEW.status = 'pending' THEN 1
    ELSE -1
  END;
BEGIN
  UPDATE runqueue.counters SET value = value + change
  WHERE name = 'pending' AND shard = pg_backend_pid() % 32;
  RETURN NULL;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_pending_added AFTER INSERT ON "runs"
FOR EACH ROW WHEN (NEW.status = 'pending') EXECUTE FUNCTION runqueue.count_pending();
--> statement-breakpoint
CREATE TRIGGER runs_pending_changed AFTER UPDATE OF status ON "runs"
FOR EACH ROW WHEN ((NEW.status = 'pending') <> (OLD.status = 'pending'))
EXECUTE FUNCTION runqueue.count_pending();
--> statement-breakpoint
CREATE TRIGGER runs_pending_deleted AFTER DELETE ON "runs"
FOR EACH ROW WHEN (OLD.status = 'pending') EXECUTE FUNCTION runqueue.count_pending();
--> statement-breakpoint
-- A queue changes every row several times, so dead ones are cleared away early: claims walk over them.
ALTER TABLE "runs" SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_analyze_scale_factor = 0.05);
--> statement-breakpoint
ALTER TABLE "sessions" SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
--> statement-breakpoint
ALTER TABLE "runners" SET (fillfactor = 50);
