Operators may sign in to the console at Microsoft: `sign_in` of `[web]` names the `[[sign_in]]` they use.
