"""The dock widget: connects session, viewer and widgets."""
