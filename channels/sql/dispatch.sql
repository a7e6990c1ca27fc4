-- Takes the lease of each connection and kind that has due work and that nobody holds, for so long as a message may wait
-- (`p_queued`). `p_poll_every_s`: how often each channel is polled, in seconds. See channels/dispatcher.py.
-- Asked ten times a second: it is planned once a session, for to plan it costs ten times what it does.
CREATE OR REPLACE FUNCTION channels_take_due(p_queued interval, p_poll_every_s jsonb)
RETURNS TABLE (connection_id bigint, kind text, lease uuid) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    UPDATE channels_connectionwork w
    SET leased_until = clock_timestamp() + p_queued, lease = gen_random_uuid()
    FROM channels_connection n
    WHERE w.connection_id = n.id AND w.leased_until <= clock_timestamp()
      AND (n.resting_until IS NULL OR n.resting_until <= clock_timestamp())
      AND CASE w.kind
          WHEN 'inbox' THEN n.state IN ('live', 'paused') AND EXISTS (
              SELECT FROM channels_inboundevent e
              WHERE e.connection_id = n.id AND e.state = 'pending' AND e.next_attempt_at <= clock_timestamp())
          -- As publisher.due_cells says it: what it would not tell must not wake it, or it is woken for ever.
          WHEN 'publish' THEN n.state = 'live' AND (EXISTS (
              SELECT FROM channels_channelstock c
              JOIN channels_listing l ON l.id = c.listing_id
              JOIN channels_channellocation p ON p.id = c.channel_location_id
              WHERE c.connection_id = n.id AND c.dirty_at IS NOT NULL AND c.write_id IS NULL AND c.blocked_reason = ''
                AND c.drift_at IS NULL AND c.missing_at IS NULL AND c.held_by_id IS NULL
                AND (c.next_attempt_at IS NULL OR c.next_attempt_at <= clock_timestamp())
                AND c.desired IS DISTINCT FROM c.expected
                AND l.link = 'linked' AND l.is_tracked AND l.deleted_at IS NULL AND p.is_active)
            OR EXISTS (
              SELECT FROM channels_channelwrite cw
              WHERE cw.connection_id = n.id AND cw.state = 'sending' AND cw.next_attempt_at <= clock_timestamp()))
          WHEN 'commands' THEN n.state = 'live' AND EXISTS (
              SELECT FROM channels_channelcommand m
              WHERE m.connection_id = n.id AND m.state = 'waiting' AND m.next_attempt_at <= clock_timestamp())
          WHEN 'poll' THEN n.state IN ('live', 'paused') AND (
              n.polled_at IS NULL OR EXISTS (
              SELECT FROM jsonb_each_text(p_poll_every_s) every
              WHERE every.key = n.channel AND n.polled_at <= clock_timestamp() - make_interval(secs => every.value::float8)
            ) OR EXISTS (
              SELECT FROM channels_channelstock c WHERE c.connection_id = n.id AND c.recheck_at <= clock_timestamp()))
          WHEN 'webhooks' THEN n.state IN ('live', 'paused') AND n.approved_at IS NOT NULL
              AND (n.subscriptions_due_at IS NULL OR n.subscriptions_due_at <= clock_timestamp())
          END
    RETURNING w.connection_id, w.kind::text, w.lease;
END $$;
