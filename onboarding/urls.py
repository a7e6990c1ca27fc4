from __future__ import annotations

from django.urls import URLPattern, path

from onboarding.views import findings, imports

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/findings/", findings.findings, name="findings"),
    path("<slug:shop>/findings/<int:finding_id>/", findings.finding, name="finding"),
    path("<slug:shop>/findings/accept/", findings.accept_findings, name="accept_findings"),
    path("<slug:shop>/findings/undo/", findings.undo_finding, name="undo_finding"),
    path("<slug:shop>/imports/", imports.imports, name="imports"),
    path("<slug:shop>/imports/new/", imports.new_import, name="new_import"),
    path("<slug:shop>/imports/<int:batch_id>/", imports.import_batch, name="import"),
    path("<slug:shop>/imports/<int:batch_id>/approve/", imports.approve_import, name="approve_import"),
    path("<slug:shop>/imports/<int:batch_id>/cancel/", imports.cancel_import, name="cancel_import"),
    path("<slug:shop>/imports/<int:batch_id>/columns/", imports.import_columns, name="import_columns"),
    path("<slug:shop>/imports/<int:batch_id>/counts/", imports.set_import_counts, name="set_import_counts"),
    path("<slug:shop>/imports/<int:batch_id>/errors.csv", imports.import_errors, name="import_errors"),
    path("<slug:shop>/imports/<int:batch_id>/look-again/", imports.look_again_import, name="look_again_import"),
    path("<slug:shop>/imports/<int:batch_id>/undo/", imports.undo_import, name="undo_import"),
]
