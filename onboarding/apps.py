from django.apps import AppConfig


class OnboardingConfig(AppConfig):
    name = "onboarding"

    def ready(self) -> None:
        """Let the findings about SKUs know the patterns that shops have chosen."""
        from onboarding.findings import names
        from onboarding.skus import following

        names.read_patterns_with(following.own_pattern)
