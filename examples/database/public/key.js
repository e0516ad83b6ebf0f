// The key for everybody (SUPABASE_ANON_KEY) of `orlo keys NAME`. It is no secret: policies say what it may.
export const key = "";
