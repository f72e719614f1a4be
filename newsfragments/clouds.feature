A cloud of one's own may be `based_on` one of Microsoft's and change single values of it; `proxy` names the way to sign-in where there is only one.
