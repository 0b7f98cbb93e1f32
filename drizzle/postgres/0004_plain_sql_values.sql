-- More of what a run that comes by plain SQL is refused for, in words.
CREATE FUNCTION runqueue.run_by_hand_values() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.priority NOT BETWEEN -1000000 AND 1000000 THEN
    RAISE check_violation USING MESSAGE =
      'runs.priority must be a whole number from -1000000 to 1000000';
  END IF;
  IF NEW.max_attempts NOT BETWEEN 1 AND 100 THEN
    RAISE check_violation USING MESSAGE = 'runs.max_attempts must be a whole number from 1 to 100';
  END IF;
  IF NEW.retry_delay_seconds NOT BETWEEN 0 AND 86400 THEN
    RAISE check_violation USING MESSAGE = 'runs.retry_delay_seconds must be a number from 0 to 86400';
  END IF;
  -- All times are compared as text.
  IF EXISTS (
    SELECT 1 FROM unnest(ARRAY[NEW.created_at, NEW.available_at, NEW.timeout_at, NEW.updated_at]) AS given
    WHERE given !~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$') THEN
    RAISE check_violation USING MESSAGE =
      'runs.created_at, available_at, timeout_at and updated_at must be in UTC, such as 2030-01-31T09:30:00.000Z';
  END IF;
  RETURN NEW;
END $$;
--> statement-breakpoint
CREATE TRIGGER runs_by_hand_values BEFORE INSERT ON "runs"
FOR EACH ROW WHEN (NEW.cause IS NULL) EXECUTE FUNCTION runqueue.run_by_hand_values();
